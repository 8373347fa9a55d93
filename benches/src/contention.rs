//! One thread and two at the same limit: what sharing it costs each of them.

use std::{
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use crate::{
    lane::{End, Lane, Tally},
    queued::Queued,
};

/// Decisions between two looks at the clock.
const BATCH: u64 = 256;

/// No verdict rests on fewer rounds.
const ENOUGH: usize = 5;

/// How all calls of an entrant end.
#[derive(Debug, Clone, Copy)]
pub enum Ends {
    /// All so.
    All(End),
    /// Some are let in, and no more than `burst` at once and one `every` so often.
    Within {
        /// The time that one takes.
        every: Duration,
        /// As many at once.
        burst: u32,
    },
}

/// Who has its turn in each round, on one thread and on two.
pub struct Entrant {
    /// What it is.
    pub name: String,
    lanes: Vec<Lane>,
    ends: Ends,
    /// Decisions per second and thread on one thread and on two, of the rounds in which nobody was in the way.
    rounds: [Vec<f64>; 2],
    /// The same of the others.
    disturbed: [Vec<f64>; 2],
}

impl Entrant {
    /// One lane for each of two threads.
    pub fn new(name: &str, ends: Ends, lanes: Vec<Lane>) -> Self {
        Self {
            name: name.to_owned(),
            lanes,
            ends,
            rounds: Default::default(),
            disturbed: Default::default(),
        }
    }

    /// One whose calls are all let in.
    pub fn accepting(name: &str, lanes: Vec<Lane>) -> Self {
        Self::new(name, Ends::All(End::Accepted), lanes)
    }

    /// One turn on one thread, and one on two.
    ///
    /// # Errors
    ///
    /// When calls did not end as they should.
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
            Ends::Within { every, burst } => {
                let most = took.as_nanos() / every.as_nanos() + u128::from(burst);
                u128::from(all.accepted) <= most && all.accepted > 0
            }
        };
        if right {
            Ok((per_second / turns.len() as f64, waited >= turn / 20))
        } else {
            Err(format!("{}: not as it should be: {all:?}", self.name))
        }
    }

    /// Rounds of two threads in which nobody was in the way.
    pub fn undisturbed(&self) -> usize {
        self.rounds[1].len()
    }

    /// Whether on one thread and on two there were enough rounds in which nobody was in the way: otherwise the figures tell
    /// of the machine.
    pub fn was_measured(&self) -> bool {
        self.rounds.iter().all(|rounds| rounds.len() >= ENOUGH)
    }

    /// Decisions per thread, two over one.
    pub fn ratio(&self) -> f64 {
        self.per_second(1) / self.per_second(0)
    }

    /// Decisions per second and thread: `[one, two][index]` threads, the median round.
    pub fn per_second(&self, index: usize) -> f64 {
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

/// Gives all their turns, until each has had `rounds` undisturbed rounds. On a busy machine most are disturbed: some more,
/// then, but not for ever.
///
/// # Errors
///
/// When calls did not end as they should.
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

/// The middle one.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
