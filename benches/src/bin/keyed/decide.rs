//! Nanoseconds per decision, one thread.

use std::time::Duration;

use benches::{
    cases,
    driver::{Driver, End},
    wall::{Entrant, Wall, race, race_all},
};
use serde_json::{Map, json};

use crate::{
    keys::Keys,
    limits::{self, Clock, KeyType, Terms},
    report::{Bar, Limit, Report, rounded},
    scale::Scale,
};

/// A peer's name, and its drivers.
type Peer = (&'static str, Vec<Driver>);

pub fn run(scale: Scale, report: &mut Report) -> Result<(), String> {
    println!(
        "\nns per decision, best round (median), keys in random order\n{:<44}{:>20}{:>20}{:>8}",
        "", "plimsoll", "governor", "ratio"
    );
    let mut table = Table::default();
    for (what, terms, end) in ENDS {
        for (clock, text) in CLOCKS {
            table.row(scale, &format!("global, {what}{text}"), end, 1, || {
                let mut peers = vec![
                    ("plimsoll", limits::plimsoll_global(terms, clock, 1)),
                    ("governor", limits::governor_global(terms, clock, 1)),
                ];
                if clock == Clock::Read {
                    peers.push(("ratelimit", limits::ratelimit(terms, 1)));
                    peers.push(("leaky-bucket", limits::leaky_bucket(terms, 1)));
                }
                peers
            })?;
        }
    }
    for count in [10, 10_000, scale.keys] {
        let keys = Keys::new(count);
        table.keyed(scale, &format!("{count} u64 keys"), keys.numbers)?;
        table.keyed(scale, &format!("{count} text keys"), keys.texts)?;
    }
    report.figure("decide", table.figures);
    let name = |rest| format!("{} u64 keys, {rest}", scale.keys);
    let (_, ours, theirs) = table
        .pairs
        .iter()
        .find(|(case, ..)| *case == name("accept"))
        .ok_or("nothing was measured at the most keys")?;
    report.figure(
        "ns_1m_keys",
        json!({"plimsoll": rounded(*ours), "governor": rounded(*theirs)}),
    );
    let most = table.pairs.iter().filter(|(case, ..)| {
        case.starts_with(&scale.keys.to_string()) && !case.ends_with("left out")
    });
    report.bar(Bar {
        promise: "keyed decision over governor's",
        limit: Limit::AtMost(0.5),
        cases: most
            .map(|(case, ours, theirs)| (case.clone(), ours / theirs))
            .collect(),
        floor: None,
    });
    report.figure("services", services(scale)?);
    Ok(())
}

const ENDS: [(&str, Terms, End); 2] = [
    ("accept", Terms::AMPLE, End::Accepted),
    ("refuse", Terms::SPENT, End::Refused),
];
const CLOCKS: [(Clock, &str); 2] = [(Clock::Read, ""), (Clock::Still, ", clock left out")];

#[derive(Default)]
struct Table {
    figures: Map<String, serde_json::Value>,
    /// The best rounds of Plimsoll and governor.
    pairs: Vec<(String, f64, f64)>,
}

impl Table {
    fn keyed<T: KeyType>(
        &mut self,
        scale: Scale,
        name: &str,
        keys: &'static [T],
    ) -> Result<(), String> {
        for (what, terms, end) in ENDS {
            for (clock, text) in CLOCKS {
                let row = format!("{name}, {what}{text}");
                self.row(scale, &row, end, keys.len(), || {
                    vec![
                        ("plimsoll", limits::plimsoll_keyed(terms, clock, keys, 1)),
                        ("governor", limits::governor_keyed(terms, clock, keys, 1)),
                    ]
                })?;
            }
        }
        Ok(())
    }

    fn row(
        &mut self,
        scale: Scale,
        name: &str,
        end: End,
        keys: usize,
        peers: impl FnOnce() -> Vec<Peer>,
    ) -> Result<(), String> {
        let (names, drivers): (Vec<_>, Vec<_>) = peers().into_iter().unzip();
        let mut otherwise = Vec::new();
        let entrants = drivers.into_iter().map(|mut drivers| {
            for driver in &mut drivers {
                // Each key spends its quota, if it can be spent; then all decisions should end as
                // named.
                driver(keys as u64);
                let tally = driver(keys as u64);
                otherwise.push(1.0 - tally.of(end) as f64 / tally.calls() as f64);
            }
            Entrant { drivers, end }
        });
        let walls = race_all(entrants, TURN, scale.rounds);
        for ((peer, wall), otherwise) in names.iter().zip(&walls).zip(&otherwise) {
            let right = wall.right.min(1.0 - otherwise);
            if right < MOSTLY {
                return Err(format!(
                    "{name}: only {right} of the decisions of {peer} ended as named"
                ));
            }
        }
        let text = |wall: &Wall| format!("{:.1} ({:.1})", wall.best, wall.median);
        if let [ours, theirs, ..] = &walls[..] {
            let ratio = ours.best / theirs.best;
            println!(
                "{name:<44}{:>20}{:>20}{ratio:>8.2}",
                text(ours),
                text(theirs)
            );
            self.pairs.push((name.to_owned(), ours.best, theirs.best));
        }
        for (peer, wall) in names.iter().zip(&walls).skip(2) {
            println!("{:<44}{:>20}", format!("  {peer}"), text(wall));
        }
        for (peer, share) in names.iter().zip(&otherwise) {
            if *share > 0.0 {
                println!(
                    "  {:.0} of a million keys got the other decision on their second request: {peer}",
                    share * 1e6
                );
            }
        }
        let figures = names.iter().zip(&walls).zip(&otherwise);
        let figures = figures.map(|((peer, wall), otherwise)| {
            let times = json!({
                "best": rounded(wall.best),
                "median": rounded(wall.median),
                "went_otherwise": otherwise,
            });
            ((*peer).to_owned(), times)
        });
        self.figures
            .insert(name.to_owned(), figures.collect::<Map<_, _>>().into());
        Ok(())
    }
}

/// The share of decisions that must end as named. Where keys may be evicted by others, some do not;
/// their number is printed for the case that every key has spent its quota and asks again.
const MOSTLY: f64 = 0.9;
/// Length of a turn: short, so that a busy machine has undisturbed rounds.
const TURN: Duration = Duration::from_millis(1);

/// The Tower services that limit rates, by the prefixes of their cases' names.
pub const SERVICES: [&str; 3] = [
    "tower_governor/",
    "tower-resilience/ratelimiter",
    "plimsoll/rate-limit",
];

/// The peers that exist only as Tower services, and Plimsoll's service: over the bare service.
fn services(scale: Scale) -> Result<Map<String, serde_json::Value>, String> {
    let mut cases = cases::all("");
    cases.retain(|case| {
        !case.name.contains('@') || SERVICES.iter().any(|who| case.name.starts_with(who))
    });
    println!("\nns per call of a Tower service, over the bare service, best round");
    let walls = race(&cases, 1, scale.rounds);
    let mut figures = Map::new();
    for (case, wall) in cases.iter().zip(&walls) {
        if !case.name.contains('@') {
            continue;
        }
        if wall.right < 1.0 {
            return Err(format!("not all calls of {} ended as named", case.name));
        }
        let bare = cases
            .iter()
            .position(|bare| bare.name == case.base.bare)
            .unwrap_or(0);
        let over = wall.best - walls[bare].best;
        println!("{:<44}{over:>20.1}", case.name);
        figures.insert(case.name.to_owned(), rounded(over).into());
    }
    Ok(figures)
}
