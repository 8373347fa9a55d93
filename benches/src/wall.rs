//! Wall time per call, in rounds in which every case has a turn, so that a slow phase of the
//! machine affects all cases.

use std::{
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use crate::{
    cases::Case,
    driver::{Driver, End, Tally},
};

/// Target length of one turn of one case.
const TURN: Duration = Duration::from_millis(1);

/// The results of one case, in nanoseconds per call of one thread.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Wall {
    /// The best round: the cost without disturbance. It is the most repeatable figure.
    pub best: f64,
    /// The median round.
    pub median: f64,
    /// The share of calls that ended as the name of the case states. Below 1, ignore the times.
    pub right: f64,
}

/// A measured entrant, with one turn in each round.
pub struct Entrant {
    /// One per thread.
    pub drivers: Vec<Driver>,
    /// How all its calls should end.
    pub end: End,
}

struct Racer {
    end: End,
    drivers: Vec<Driver>,
    calls: u64,
    rounds: Vec<f64>,
    right: u64,
    all: u64,
}

/// Times every case in `rounds` rounds on `threads` threads that call at the same time.
pub fn race(cases: &[Case], threads: usize, rounds: usize) -> Vec<Wall> {
    let entrants = cases.iter().map(|case| Entrant {
        drivers: case.drivers(threads),
        end: case.end(),
    });
    race_all(entrants, TURN, rounds)
}

/// Times all entrants in `rounds` rounds, in which each has a turn of about `turn`.
pub fn race_all(
    entrants: impl IntoIterator<Item = Entrant>,
    turn: Duration,
    rounds: usize,
) -> Vec<Wall> {
    let mut racers: Vec<_> = entrants
        .into_iter()
        .map(|entrant| Racer::new(entrant, turn))
        .collect();
    for _ in 0..rounds {
        for racer in &mut racers {
            racer.turn();
        }
    }
    racers.into_iter().map(Racer::finish).collect()
}

impl Racer {
    fn new(entrant: Entrant, turn: Duration) -> Self {
        let mut racer = Self {
            end: entrant.end,
            drivers: entrant.drivers,
            calls: 1,
            rounds: Vec::new(),
            right: 0,
            all: 0,
        };
        // Doubles the calls until they fill a turn; this also warms the case up.
        while racer.calls < 1 << 24 {
            if racer.turn() * racer.calls as f64 >= turn.as_nanos() as f64 {
                break;
            }
            racer.calls *= 2;
        }
        racer.rounds.clear();
        (racer.right, racer.all) = (0, 0);
        racer
    }

    /// One turn: nanoseconds per call.
    fn turn(&mut self) -> f64 {
        let calls = self.calls;
        let turns = if let [driver] = &mut self.drivers[..] {
            vec![timed(driver, calls)]
        } else {
            let start = &Barrier::new(self.drivers.len());
            thread::scope(|scope| {
                let threads: Vec<_> = self
                    .drivers
                    .iter_mut()
                    .map(|driver| {
                        scope.spawn(move || {
                            start.wait();
                            timed(driver, calls)
                        })
                    })
                    .collect();
                threads
                    .into_iter()
                    .filter_map(|thread| thread.join().ok())
                    .collect()
            })
        };
        for (tally, _) in &turns {
            self.right += tally.of(self.end);
            self.all += calls;
        }
        let spent: f64 = turns.iter().map(|(_, spent)| spent.as_nanos() as f64).sum();
        let per_call = spent / (turns.len() as f64 * calls as f64);
        self.rounds.push(per_call);
        per_call
    }

    fn finish(mut self) -> Wall {
        self.rounds.sort_by(f64::total_cmp);
        let at = |index: usize| self.rounds.get(index).copied().unwrap_or(f64::NAN);
        Wall {
            best: at(0),
            median: at(self.rounds.len() / 2),
            right: self.right as f64 / self.all as f64,
        }
    }
}

fn timed(driver: &mut Driver, calls: u64) -> (Tally, Duration) {
    let start = Instant::now();
    let tally = driver(calls);
    (tally, start.elapsed())
}
