//! Random scenarios: services, callers and courses of load, each drawn from a seed.
//!
//! A limit can be overfitted to the built-in scenarios. These are drawn from wide ranges:
//! [`LOOKED_AT`] may be used while the limit is changed, [`UNSEEN`] only afterwards.

use std::ops::Range;

use fastrand::Rng;

use crate::{
    law::Law,
    scenario::{Arrivals, Caller, Scenario, Score, Server, Station, Step},
};

/// Seeds of the scenarios for use during a change.
pub(crate) const LOOKED_AT: Range<u64> = 0..100;
/// Seeds of the scenarios that are run after a change is finished.
pub(crate) const UNSEEN: Range<u64> = 2_000..2_100;

/// Requests per second of the fastest server.
const FASTEST: f64 = 15_000.0;

/// The scenario with the name `random-NUMBER`.
pub(crate) fn named(name: &str) -> Option<Scenario> {
    let number = name.strip_prefix("random-")?.parse().ok()?;
    Some(scenario(number))
}

/// The scenario of this seed, always the same.
pub(crate) fn scenario(number: u64) -> Scenario {
    // The generator's first draws of neighbouring seeds are similar.
    let mut rng = Rng::with_seed(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let rng = &mut rng;
    let mean_ms = (10.0 * log_uniform(rng, 0.5, 900.0)).round() / 10.0;
    // A bound of requests per second, so that a run stays short.
    let most = (FASTEST * mean_ms / 1e3).min(600.0);
    let count = log_uniform(rng, 1.0, most) as usize;
    let law = law(rng);
    // With long calls a short deadline leaves little that any contender can answer.
    let deadlines: &[f64] = match law {
        Law::Bimodal | Law::Exponential => &[10.0, 20.0, 50.0],
        Law::Constant | Law::LogNormal(_) => &[3.0, 5.0, 10.0, 20.0],
    };
    let deadline = pick(rng, deadlines);
    // No contender can meet a short deadline that requests do not carry.
    let told = deadline < 10.0 || rng.bool();
    let server = Server {
        mean_ms,
        law,
        stations: vec![Station::Workers {
            count,
            share: 1.0,
            spin: 0.0,
            cold: None,
        }],
        capacity: None,
        goes_on: rng.u8(..10) == 0,
    };
    let load = pick(rng, &[0.5, 0.8, 0.95, 1.05, 1.2, 1.5, 2.0, 4.0, 10.0]);
    let mut scenario = Scenario {
        name: format!("random-{number:03}"),
        load: vec![load],
        requests: 20_000.0,
        seconds: 4.0,
        services: 200.0,
        at_most_requests: 60_000.0,
        warm_up: 0.4,
        deadline,
        told,
        arrivals: arrivals(rng, count),
        multiples: vec![1.0, 1.25, 1.5, 2.0, 3.0],
        server: vec![server],
        ..Scenario::of("Drawn at random.")
    };
    let seconds = scenario.seconds_on(&scenario.server[0]);
    callers(rng, &mut scenario, mean_ms / 1e3);
    course(rng, &mut scenario, seconds);
    scenario.about = describe(&scenario);
    scenario
}

fn law(rng: &mut Rng) -> Law {
    match rng.u8(..4) {
        0 => Law::Constant,
        1 => Law::Exponential,
        2 => Law::Bimodal,
        _ => Law::LogNormal(pick(rng, &[0.2, 0.4, 0.6, 0.8, 1.0])),
    }
}

fn arrivals(rng: &mut Rng, count: usize) -> Arrivals {
    match rng.u8(..4) {
        0 => Arrivals::Bursts(rng.usize(2..2 * count + 3)),
        _ => Arrivals::Poisson,
    }
}

/// Draws the callers. `mean` is the mean service time, in seconds.
fn callers(rng: &mut Rng, scenario: &mut Scenario, mean: f64) {
    let steady = Caller {
        name: "steady".into(),
        ..Caller::default()
    };
    let (callers, score) = match rng.u8(..10) {
        // Answers that are not successes, at the same cost.
        0 => {
            let part = 0.2 + 0.7 * rng.f64();
            let (not_found, fails) = if rng.bool() { (part, 0.0) } else { (0.0, part) };
            let caller = Caller {
                not_found,
                fails,
                ..steady
            };
            (vec![caller], Score::Goodput)
        }
        // Some callers cancel before an idle service could have answered.
        1 => {
            let leaving = Caller {
                name: "leaving".into(),
                timeout_seconds: Some(mean * (0.2 + 0.5 * rng.f64())),
                hangs_up: true,
                ..Caller::default()
            };
            // At most half of the capacity: all steady callers can be served.
            scenario.load[0] = scenario.load[0].min(1.0);
            (vec![steady, leaving], Score::Caller("steady".into()))
        }
        // All callers cancel after a long wait.
        2 => {
            // An answer is of use until they cancel.
            scenario.deadline = 3.0 + 7.0 * rng.f64();
            let caller = Caller {
                timeout_seconds: Some(mean * scenario.deadline),
                hangs_up: true,
                ..steady
            };
            (vec![caller], Score::Goodput)
        }
        // A few requests that are more important.
        3 => {
            let high = Caller {
                name: "high".into(),
                criticality: "CRITICAL_PLUS".into(),
                weight: 0.05 + 0.2 * rng.f64(),
                ..Caller::default()
            };
            scenario.load[0] = scenario.load[0].min(4.0);
            (vec![steady, high], Score::Caller("high".into()))
        }
        // A few requests that are much longer.
        4 => {
            let long = Caller {
                name: "long".into(),
                weight: 1.0 / log_uniform(rng, 20.0, 200.0),
                work: log_uniform(rng, 10.0, 100.0),
                ..Caller::default()
            };
            scenario.deadline *= long.work;
            (vec![steady, long], Score::Goodput)
        }
        _ => (vec![steady], Score::Goodput),
    };
    scenario.caller = callers;
    scenario.score = score;
}

/// Draws the changes during the run.
fn course(rng: &mut Rng, scenario: &mut Scenario, seconds: f64) {
    let step = |at: f64| Step {
        at: at * seconds,
        ..Step::default()
    };
    let load = |at: f64, load: f64| Step {
        load: Some(load),
        ..step(at)
    };
    scenario.step = match rng.u8(..10) {
        // Almost no load, then full load.
        0 => vec![load(0.0, 0.01), load(0.4, 1.0)],
        // The load falls and rises again.
        1 => vec![load(0.0, 1.0), load(0.5, 0.3), load(0.75, 1.0)],
        2 => vec![Step {
            workers: Some(0.5),
            ..step(0.6)
        }],
        3 => vec![Step {
            speed: Some(0.6),
            ..step(0.6)
        }],
        // Everything counts from the start.
        4 => {
            scenario.warm_up = 0.0;
            Vec::new()
        }
        _ => Vec::new(),
    };
}

/// A description of the drawn values, for the table.
fn describe(scenario: &Scenario) -> String {
    let callers = scenario.caller.iter().map(|caller| {
        let leaves = caller.timeout_seconds.map_or(0.0, |seconds| seconds * 1e3);
        format!(
            "{} (weight {:.3}, work {:.1}, 404 {:.2}, 500 {:.2}, cancels after {leaves:.1} ms)",
            caller.name, caller.weight, caller.work, caller.not_found, caller.fails
        )
    });
    let steps = scenario.step.iter().map(|step| {
        format!(
            "{:.1} s: load {:?}, workers {:?}, speed {:?}",
            step.at, step.load, step.workers, step.speed
        )
    });
    format!(
        "Drawn at random: deadline {:.1} means ({}), {:?}, continues after a cancellation: {}, warm-up {}; {}; {}",
        scenario.deadline,
        if scenario.told {
            "carried by requests"
        } else {
            "not carried"
        },
        scenario.arrivals,
        scenario.server[0].goes_on,
        scenario.warm_up,
        callers.collect::<Vec<_>>().join(", "),
        steps.collect::<Vec<_>>().join(", "),
    )
}

fn log_uniform(rng: &mut Rng, from: f64, to: f64) -> f64 {
    from * (to / from).powf(rng.f64())
}

fn pick(rng: &mut Rng, values: &[f64]) -> f64 {
    values[rng.usize(..values.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_random_scenarios_are_valid_and_different() {
        let mut drawn_before = std::collections::HashSet::new();
        for number in LOOKED_AT.chain(UNSEEN) {
            let drawn = scenario(number);
            drawn.check().unwrap();
            assert!(drawn_before.insert(format!("{:?}{:?}", drawn.server, drawn.load)));
        }
    }
}
