//! One thread and two at the same limit: the cost of sharing it.

use std::{
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use crate::{
    driver::{Driver, End, Tally},
    queued::Queued,
};

/// Decisions between two clock reads.
const BATCH: u64 = 256;

/// The fewest rounds for a result.
const ENOUGH: usize = 5;

/// How the calls of an entrant end.
#[derive(Debug, Clone, Copy)]
pub enum Ends {
    /// All in the same way.
    All(End),
    /// Some are admitted: at most `burst` at once, and one per `every`.
    Within {
        /// The period of one.
        every: Duration,
        /// The burst.
        burst: u32,
    },
}

/// A limit that has a turn in each round, on one thread and on two.
pub struct Entrant {
    /// The name.
    pub name: String,
    drivers: Vec<Driver>,
    ends: Ends,
    /// Decisions per second and thread on one thread and on two, in undisturbed rounds.
    rounds: [Vec<f64>; 2],
    /// The same of disturbed rounds.
    disturbed: [Vec<f64>; 2],
}

impl Entrant {
    /// An entrant with one driver for each of two threads.
    pub fn new(name: &str, ends: Ends, drivers: Vec<Driver>) -> Self {
        Self {
            name: name.to_owned(),
            drivers,
            ends,
            rounds: Default::default(),
            disturbed: Default::default(),
        }
    }

    /// An entrant whose calls are all admitted.
    pub fn accepting(name: &str, drivers: Vec<Driver>) -> Self {
        Self::new(name, Ends::All(End::Accepted), drivers)
    }

    /// One turn on one thread, and one on two.
    ///
    /// # Errors
    ///
    /// When calls did not end as stated.
    pub fn round(&mut self, turn: Duration) -> Result<(), String> {
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

    /// As [`round`](Self::round). Returns the time per decision and thread, two threads over one;
    /// `None` if a thread waited for a processor.
    ///
    /// # Errors
    ///
    /// When calls did not end as stated.
    pub fn pair(&mut self, turn: Duration) -> Result<Option<f64>, String> {
        let before = self.rounds.each_ref().map(Vec::len);
        self.round(turn)?;
        let [one, two] = &self.rounds;
        Ok(match (one.get(before[0]), two.get(before[1])) {
            (Some(one), Some(two)) => Some(one / two),
            _ => None,
        })
    }

    /// Decisions per second of each thread, and whether a thread waited for a processor: meanwhile
    /// the others did not share the limit with it.
    fn turn(&mut self, threads: usize, turn: Duration) -> Result<(f64, bool), String> {
        let (begun, start) = (Instant::now(), &Barrier::new(threads));
        let turns: Vec<_> = thread::scope(|scope| {
            let drivers = self.drivers.iter_mut().take(threads);
            let threads: Vec<_> = drivers
                .map(|driver| {
                    scope.spawn(move || {
                        let mut queued = Queued::new();
                        start.wait();
                        let late = queued.since();
                        let (tally, spent) = until(driver, turn);
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
            // A call that stays pending on a peer's lock is not a decision.
            per_second += (tally.calls() - tally.pending) as f64 / spent.as_secs_f64();
        }
        let right = match self.ends {
            Ends::All(end) => all.of(end) == all.calls() - all.pending,
            Ends::Within { every, burst } => {
                let most = took.as_nanos() / every.as_nanos() + u128::from(burst);
                u128::from(all.accepted) <= most && all.accepted > 0
            }
        };
        if right {
            Ok((per_second / turns.len() as f64, waited >= turn / 20))
        } else {
            Err(format!(
                "{}: calls did not end as stated: {all:?}",
                self.name
            ))
        }
    }

    /// Undisturbed rounds of two threads.
    pub fn undisturbed(&self) -> usize {
        self.rounds[1].len()
    }

    /// Whether there were enough undisturbed rounds on one thread and on two; with fewer, the
    /// figures show the machine.
    pub fn was_measured(&self) -> bool {
        self.rounds.iter().all(|rounds| rounds.len() >= ENOUGH)
    }

    /// Decisions per thread, two over one.
    pub fn ratio(&self) -> f64 {
        self.per_second(1) / self.per_second(0)
    }

    /// Decisions per second and thread: `[one, two][index]` threads, the median round.
    pub fn per_second(&self, index: usize) -> f64 {
        // Better than no figure; the number of rounds is shown beside it.
        let rounds = match &self.rounds[index][..] {
            [] => &self.disturbed[index][..],
            rounds => rounds,
        };
        median(rounds.to_vec())
    }
}

fn until(driver: &mut Driver, turn: Duration) -> (Tally, Duration) {
    let (start, mut all) = (Instant::now(), Tally::default());
    loop {
        let tally = driver(BATCH);
        all.accepted += tally.accepted;
        all.refused += tally.refused;
        all.pending += tally.pending;
        let spent = start.elapsed();
        if spent >= turn {
            return (all, spent);
        }
    }
}

/// Runs turns until each entrant has `rounds` undisturbed rounds, at most six times as many turns.
///
/// # Errors
///
/// When calls did not end as stated.
pub fn race(entrants: &mut [Entrant], rounds: usize, turn: Duration) -> Result<(), String> {
    for _ in 0..rounds * 6 {
        for entrant in &mut *entrants {
            if entrant.rounds.iter().any(|done| done.len() < rounds) {
                entrant.round(turn)?;
            }
        }
    }
    Ok(())
}

/// The median.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
