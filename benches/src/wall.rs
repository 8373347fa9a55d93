//! Wall time per call: rounds in which every case has its turn, so that a machine that slows down for a while
//! slows all of them.

use std::{
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use crate::{
    cases::Case,
    lane::{End, Lane, Tally},
};

/// How long one turn of one case should take.
const TURN: Duration = Duration::from_millis(1);

/// What the rounds of one case came to, in nanoseconds per call of one thread.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Wall {
    /// The best round: what the code costs when nothing disturbs it. Repeats best.
    pub best: f64,
    /// The median round.
    pub median: f64,
    /// The share of calls that went as the case's name says. Below 1, the times mean nothing.
    pub right: f64,
}

/// What has its turn in each round.
pub struct Entrant {
    /// One for each thread.
    pub lanes: Vec<Lane>,
    /// How all its calls should end.
    pub end: End,
}

struct Racer {
    end: End,
    lanes: Vec<Lane>,
    calls: u64,
    rounds: Vec<f64>,
    right: u64,
    all: u64,
}

/// Times every case in `rounds` rounds on `threads` threads that call at the same time.
pub fn race(cases: &[Case], threads: usize, rounds: usize) -> Vec<Wall> {
    let entrants = cases.iter().map(|case| Entrant {
        lanes: case.lanes(threads),
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
            lanes: entrant.lanes,
            calls: 1,
            rounds: Vec::new(),
            right: 0,
            all: 0,
        };
        // As many calls as fill a turn; finding out warms the case up as well.
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
        let turns = if let [lane] = &mut self.lanes[..] {
            vec![timed(lane, calls)]
        } else {
            let start = &Barrier::new(self.lanes.len());
            thread::scope(|scope| {
                let threads: Vec<_> = self
                    .lanes
                    .iter_mut()
                    .map(|lane| {
                        scope.spawn(move || {
                            start.wait();
                            timed(lane, calls)
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

fn timed(lane: &mut Lane, calls: u64) -> (Tally, Duration) {
    let start = Instant::now();
    let tally = lane(calls);
    (tally, start.elapsed())
}
