//! One thread and two: what sharing a limit costs.

use std::{
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use benches::{
    cases,
    lane::{End, Lane, Tally},
};
use serde_json::{Map, json};

use crate::{
    decide::SERVICES,
    keys,
    limits::{self, Clock, Terms},
    queued::Queued,
    report::{Bar, Limit, Report, median, rounded},
    scale::Scale,
};

/// A quota that two threads in a loop exceed at once: some of their requests are let in, most are not.
const CONTENDED: Terms = Terms {
    every: Duration::from_micros(1),
    burst: 1000,
};

/// Decisions between two looks at the clock.
const BATCH: u64 = 256;

/// How all calls of an entrant end.
enum Ends {
    All(End),
    /// No more are let in than the quota has.
    Within(Terms),
}

struct Entrant {
    name: String,
    lanes: Vec<Lane>,
    ends: Ends,
    /// Decisions per second and thread on one thread and on two, of the rounds in which nobody was in the way.
    rounds: [Vec<f64>; 2],
    /// The same of the others.
    disturbed: [Vec<f64>; 2],
}

impl Entrant {
    fn new(name: &str, ends: Ends, lanes: Vec<Lane>) -> Self {
        Self {
            name: name.to_owned(),
            lanes,
            ends,
            rounds: Default::default(),
            disturbed: Default::default(),
        }
    }

    fn accepting(name: &str, lanes: Vec<Lane>) -> Self {
        Self::new(name, Ends::All(End::Accepted), lanes)
    }

    fn round(&mut self, turn: Duration) -> Result<(), String> {
        for (index, threads) in [1, 2].into_iter().enumerate() {
            let (per_second, disturbed) = self.turn(threads, turn)?;
            if disturbed {
                self.disturbed[index].push(per_second);
            } else {
                self.rounds[index].push(per_second);
            }
        }
        Ok(())
    }

    /// Decisions per second of each thread, and whether one of them had to wait for a processor: meanwhile the others
    /// did not share the limit with it.
    fn turn(&mut self, threads: usize, turn: Duration) -> Result<(f64, bool), String> {
        let (begun, start) = (Instant::now(), &Barrier::new(threads));
        let turns: Vec<_> = thread::scope(|scope| {
            let lanes = self.lanes.iter_mut().take(threads);
            let threads: Vec<_> = lanes
                .map(|lane| {
                    scope.spawn(move || {
                        let mut queued = Queued::new();
                        start.wait();
                        let late = queued.since();
                        let (tally, spent) = until(lane, turn);
                        let waited = queued.since();
                        (tally, spent.saturating_sub(waited), late + waited)
                    })
                })
                .collect();
            let turns = threads.into_iter().filter_map(|thread| thread.join().ok());
            turns.collect()
        });
        let took = begun.elapsed();
        let mut all = Tally::default();
        let (mut per_second, mut waited) = (0.0, Duration::ZERO);
        for (tally, spent, queued) in &turns {
            waited = waited.max(*queued);
            all.accepted += tally.accepted;
            all.refused += tally.refused;
            all.pending += tally.pending;
            // A peer that leaves calls pending on a lock has decided nothing by them.
            per_second += (tally.calls() - tally.pending) as f64 / spent.as_secs_f64();
        }
        let right = match self.ends {
            Ends::All(end) => all.of(end) == all.calls() - all.pending,
            Ends::Within(terms) => {
                let most = took.as_nanos() / terms.every.as_nanos() + u128::from(terms.burst);
                u128::from(all.accepted) <= most && all.accepted > 0
            }
        };
        if right {
            Ok((per_second / turns.len() as f64, waited >= turn / 20))
        } else {
            Err(format!("{}: not as it should be: {all:?}", self.name))
        }
    }

    fn ratio(&self) -> f64 {
        self.per_second(1) / self.per_second(0)
    }

    fn per_second(&self, index: usize) -> f64 {
        // Better than nothing, and the number of rounds says so.
        let rounds = match &self.rounds[index][..] {
            [] => &self.disturbed[index][..],
            rounds => rounds,
        };
        median(rounds.to_vec())
    }
}

fn until(lane: &mut Lane, turn: Duration) -> (Tally, Duration) {
    let (start, mut all) = (Instant::now(), Tally::default());
    loop {
        let tally = lane(BATCH);
        all.accepted += tally.accepted;
        all.refused += tally.refused;
        all.pending += tally.pending;
        let spent = start.elapsed();
        if spent >= turn {
            return (all, spent);
        }
    }
}

fn entrants(scale: Scale) -> Vec<Entrant> {
    let keys = keys::numbers(scale.keys).leak();
    let read = Clock::Read;
    let after = |calls: usize, mut lanes: Vec<Lane>| {
        for lane in &mut lanes {
            lane(calls as u64);
        }
        lanes
    };
    let hot = |name: &str, lanes: fn(Terms, Clock, usize) -> Vec<Lane>| {
        [
            Entrant::accepting(&format!("hot/{name}"), lanes(Terms::AMPLE, read, 2)),
            Entrant::new(
                &format!("hot, refusing/{name}"),
                Ends::All(End::Refused),
                after(1, lanes(Terms::SPENT, read, 2)),
            ),
            Entrant::new(
                &format!("hot, 1M/s and most refused/{name}"),
                Ends::Within(CONTENDED),
                lanes(CONTENDED, read, 2),
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
            all.push(Entrant::new(&name, Ends::All(case.end()), case.lanes(2)));
        }
    }
    all
}

pub fn run(scale: Scale, report: &mut Report) -> Result<(), String> {
    let mut entrants = entrants(scale);
    // On a busy machine most rounds are disturbed: some more, then, but not for ever.
    for _ in 0..scale.races * 6 {
        for entrant in &mut entrants {
            if entrant.rounds.iter().any(|done| done.len() < scale.races) {
                entrant.round(scale.race)?;
            }
        }
    }
    println!(
        "\nmillion decisions per second and thread, the clock read for each, median round of those in which no thread waited for a processor\n{:<56}{:>12}{:>12}{:>14}{:>16}",
        "", "one thread", "two threads", "two over one", "rounds of two"
    );
    let (mut figures, mut hot) = (Map::new(), Map::new());
    for entrant in &entrants {
        let [one, two] = [0, 1].map(|index| entrant.per_second(index) / 1e6);
        let ratio = entrant.ratio();
        let rounds = entrant.rounds[1].len();
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
