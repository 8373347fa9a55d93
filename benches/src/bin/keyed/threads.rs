//! One thread and two: the cost of sharing a limit.

use std::time::Duration;

use benches::{
    cases,
    contention::{Ends, Entrant, race},
    driver::{Driver, End},
};
use serde_json::{Map, json};

use crate::{
    decide::SERVICES,
    keys,
    limits::{self, Clock, Terms},
    report::{Bar, Limit, Report, rounded},
    scale::Scale,
};

/// A quota that two threads in a loop exceed at once: some requests are admitted, most are
/// rejected.
const CONTENDED: Terms = Terms {
    every: Duration::from_micros(1),
    burst: 1000,
};

fn entrants(scale: Scale) -> Vec<Entrant> {
    let keys = keys::numbers(scale.keys).leak();
    let read = Clock::Read;
    let after = |calls: usize, mut drivers: Vec<Driver>| {
        for driver in &mut drivers {
            driver(calls as u64);
        }
        drivers
    };
    let hot = |name: &str, drivers: fn(Terms, Clock, usize) -> Vec<Driver>| {
        [
            Entrant::accepting(&format!("hot/{name}"), drivers(Terms::AMPLE, read, 2)),
            Entrant::new(
                &format!("hot, refusing/{name}"),
                Ends::All(End::Refused),
                after(1, drivers(Terms::SPENT, read, 2)),
            ),
            Entrant::new(
                &format!("hot, 1M/s and most refused/{name}"),
                Ends::Within {
                    every: CONTENDED.every,
                    burst: CONTENDED.burst,
                },
                drivers(CONTENDED, read, 2),
            ),
        ]
    };
    let mut all = vec![Entrant::accepting("an empty loop", limits::nothing(2))];
    all.extend(hot("plimsoll", limits::plimsoll_global));
    all.extend(hot("governor", limits::governor_global));
    all.push(Entrant::accepting(
        "hot/ratelimit",
        limits::ratelimit(Terms::AMPLE, 2),
    ));
    all.push(Entrant::accepting(
        "hot/leaky-bucket",
        limits::leaky_bucket(Terms::AMPLE, 2),
    ));
    all.push(Entrant::accepting(
        "spread keys/plimsoll",
        after(
            keys.len() / 2,
            limits::plimsoll_keyed(Terms::AMPLE, read, keys, 2),
        ),
    ));
    all.push(Entrant::accepting(
        "spread keys/governor",
        after(
            keys.len() / 2,
            limits::governor_keyed(Terms::AMPLE, read, keys, 2),
        ),
    ));
    for case in cases::all("@accept") {
        if SERVICES.iter().any(|who| case.name.starts_with(who)) {
            let name = format!("service/{}", case.name);
            all.push(Entrant::new(&name, Ends::All(case.end()), case.drivers(2)));
        }
    }
    all
}

pub fn run(scale: Scale, report: &mut Report) -> Result<(), String> {
    let mut entrants = entrants(scale);
    race(&mut entrants, scale.races, scale.race)?;
    println!(
        "\nmillion decisions per second and thread, the clock read for each, median round of those in which no thread waited for a processor\n{:<56}{:>12}{:>12}{:>14}{:>16}",
        "", "one thread", "two threads", "two over one", "rounds of two"
    );
    let (mut figures, mut hot) = (Map::new(), Map::new());
    for entrant in &entrants {
        let [one, two] = [0, 1].map(|index| entrant.per_second(index) / 1e6);
        let ratio = entrant.ratio();
        let rounds = entrant.undisturbed();
        println!(
            "{:<56}{one:>12.2}{two:>12.2}{ratio:>14.2}{rounds:>16}",
            entrant.name
        );
        let entry = json!({
            "one": rounded(one * 1e6),
            "two": rounded(two * 1e6),
            "two_over_one": rounded(ratio),
            "rounds_of_two": rounds,
        });
        figures.insert(entrant.name.clone(), entry);
        if let Some(peer) = entrant.name.strip_prefix("hot/") {
            hot.insert(peer.to_owned(), rounded(ratio).into());
        }
    }
    report.figure("threads", figures);
    report.figure("hot_two_threads_over_one", hot);
    let ratio = |name: &str| {
        let found = entrants.iter().find(|entrant| entrant.name == name);
        (name.to_owned(), found.map_or(f64::NAN, Entrant::ratio))
    };
    report.bar(Bar {
        promise: "a hot limit's decisions per thread, two threads over one",
        limit: Limit::AtLeast(1.0),
        cases: vec![ratio("hot/plimsoll")],
        floor: Some(ratio("an empty loop").1),
    });
    Ok(())
}
