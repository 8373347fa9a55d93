//! Tests of the engine against queueing theory and published curves, and of its determinism.

use crate::{
    bench,
    contender::{self, Contender},
    library,
    options::Options,
    point::{self, Point},
    run::run,
    scenario::Scenario,
    score,
};

fn scenario(requests: f64, loads: &str, law: &str, mean_ms: f64, station: &str) -> Scenario {
    let head = format!("about = ''\nload = {loads}\nrequests = {requests}\ndeadline = 50\n");
    let server =
        format!("[[server]]\nmean-ms = {mean_ms}\nlaw = '{law}'\nstations = [{station}]\n");
    library::read("test", &format!("{head}{server}")).unwrap()
}

fn named(name: &str) -> &'static Contender {
    let found = contender::ALL.iter().find(|known| known.name == name);
    found.unwrap()
}

struct Seen {
    mean_ms: f64,
    goodput: f64,
}

/// Runs the only point, with this limit if the contender has one.
fn only(scenario: &Scenario, contender: &str, limit: f64) -> Seen {
    let points = point::points(scenario, false);
    let [point] = points.as_slice() else {
        panic!("one point");
    };
    let multiple = limit / point.server.slots();
    let ledger = run(point, named(contender), multiple, 7);
    Seen {
        mean_ms: ledger.mean_latency_ms(),
        goodput: score::judge(point, contender, ledger).goodput,
    }
}

fn near(value: f64, expected: f64, part: f64) {
    let off = (value / expected - 1.0).abs();
    assert!(off < part, "{value} is not within {part} of {expected}");
}

#[test]
fn waiting_times_match_queueing_theory() {
    // At 0.8 of capacity, in service times: M/M/2 (Erlang C) 1.778, M/D/1 (Pollaczek and Khinchine)
    // 2.
    let cases = [
        ("exponential", "{ workers = { count = 2 } }", 1.778),
        ("constant", "{ workers = { count = 1 } }", 2.0),
        ("exponential", "{ workers = { count = 1 } }", 4.0),
    ];
    for (law, station, wait) in cases {
        let scenario = scenario(200_000.0, "[0.8]", law, 2.0, station);
        let seen = only(&scenario, "none", 1.0);
        near(seen.mean_ms / 2.0, wait + 1.0, 0.05);
    }
}

#[test]
fn a_shared_processor_has_the_throughput_of_its_law() {
    let station = "{ crowd = { sigma = 0.05, kappa = 0.001 } }";
    let cases = [(1.0, 1000.0), (8.0, 5689.9), (31.0, 9037.9), (64.0, 7822.0)];
    for (present, throughput) in cases {
        let scenario = scenario(20_000.0, "[20.0]", "constant", 1.0, station);
        let Seen { goodput, .. } = only(&scenario, "fixed", present);
        near(goodput * 9037.9, throughput, 0.02);
    }
}

/// Two workers, exponential, 2 ms, deadline 100 ms: goodput without a limit, and with 10 and 50
/// requests in the system.
#[test]
fn the_reference_curves_are_reproduced() {
    let cases = [
        ("none", "[0.9]", 1.0, 0.891),
        ("fixed", "[0.9]", 10.0, 0.842),
        ("fixed", "[0.9]", 50.0, 0.891),
        ("fixed", "[2.0]", 50.0, 1.0),
        ("fixed", "[2.0]", 100.0, 0.56),
        ("fixed", "[10.0]", 10.0, 0.99),
    ];
    let station = "{ workers = { count = 2 } }";
    for (contender, load, limit, expected) in cases {
        let scenario = scenario(60_000.0, load, "exponential", 2.0, station);
        let Seen { goodput, .. } = only(&scenario, contender, limit);
        // At the point where half of all answers are late, small random differences have a large
        // effect on goodput.
        near(goodput, expected, if expected < 0.8 { 0.08 } else { 0.02 });
    }
    let scenario = scenario(60_000.0, "[1.5]", "exponential", 2.0, station);
    let Seen { goodput, .. } = only(&scenario, "none", 1.0);
    assert!(goodput < 0.01, "{goodput}");
}

#[test]
fn a_server_that_continues_works_for_cancelled_calls() {
    let callers = "[[caller]]\ntimeout-seconds = 0.1\nhangs-up = true\n";
    let goodput = |goes_on| {
        let head = format!("about = ''\nload = [1.5]\nrequests = 20_000\ndeadline = 50\n{callers}");
        let stations = "stations = [{ workers = { count = 2 } }]";
        let server = format!(
            "[[server]]\nmean-ms = 2\nlaw = 'exponential'\n{stations}\ngoes-on = {goes_on}\n"
        );
        let scenario = library::read("test", &format!("{head}{server}")).unwrap();
        only(&scenario, "none", 1.0).goodput
    };
    let (stops, goes_on) = (goodput(false), goodput(true));
    // A cancelled call frees its worker; a server that continues is always behind.
    assert!(stops > 0.9, "{stops}");
    assert!(goes_on < 0.05, "{goes_on}");
}

#[test]
fn a_seed_gives_the_same_run_to_the_bit_on_any_number_of_threads() {
    let station = "{ workers = { count = 5 } }";
    let mut scenario = scenario(1_000.0, "[0.9, 3.0]", "exponential", 5.0, station);
    scenario.multiples = vec![1.0, 3.0];
    let points: Vec<Point<'_>> = point::points(&scenario, false);
    let results = |threads, seed| {
        let options = Options {
            // Its table hashes callers with a random seed.
            contenders: contender::ALL
                .iter()
                .filter(|contender| contender.name != "adaptive-fair")
                .collect(),
            threads,
            seed,
            ..Options::default()
        };
        serde_json::to_string(&bench::run_all(&points, &options)).unwrap()
    };
    let first = results(1, 5);
    assert_eq!(first, results(3, 5));
    assert_ne!(first, results(1, 6));
}

#[test]
fn built_in_scenarios_are_valid() {
    for (name, text) in library::BUILT_IN {
        let scenario = library::read(name, text).unwrap();
        assert!(!point::points(&scenario, true).is_empty(), "{name}");
    }
}
