//! Simulates a flood of keys beside quiet callers, in virtual time, and counts rejections.

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

use tokio::time::Instant;

/// Quiet callers, and a flood of keys on the same table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// Callers that made requests before the flood.
    pub(crate) known: u64,
    /// Callers whose first request arrives during the flood.
    pub(crate) new: u64,
    /// Time between two requests of one quiet caller, give or take a quarter.
    pub(crate) period: Duration,
    /// Requests of the flood per second.
    pub(crate) rate: u64,
    pub(crate) keys: Keys,
    /// How long the flood lasts.
    pub(crate) lasts: Duration,
}

/// The keys that a flood sends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Keys {
    /// Each key once.
    Fresh,
    /// Each key twice, with this number of other keys between.
    Twice { after: u64 },
    /// This many keys, in turn.
    Pool(u64),
}

/// Counts of the requests of one group of callers.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Seen {
    pub(crate) requests: u64,
    pub(crate) rejected: u64,
}

impl Seen {
    /// The rejected share of the requests.
    pub(crate) fn share(self) -> f64 {
        self.rejected as f64 / self.requests.max(1) as f64
    }

    fn count(&mut self, admitted: bool) {
        self.requests += 1;
        self.rejected += u64::from(!admitted);
    }
}

/// The result of a scenario, from the start of the flood on.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Figures {
    pub(crate) known: Seen,
    pub(crate) new: Seen,
    pub(crate) flood: Seen,
}

/// Periods during which known callers send requests before the flood begins.
const WARM_UP: u32 = 4;

/// Runs a scenario against a limiter: `admits` decides one request of a key.
pub(crate) fn run(scenario: Scenario, mut admits: impl FnMut(u64, Instant) -> bool) -> Figures {
    let (start, flood_at) = (Instant::now(), scenario.period * WARM_UP);
    let end = flood_at + scenario.lasts;
    let mut random = Random(scenario.known ^ scenario.rate);
    let mut due = BinaryHeap::new();
    for caller in 0..scenario.known {
        due.push(Reverse((random.below(scenario.period), caller)));
    }
    // New callers arrive in the first half, so that most of them send more than one request.
    for caller in scenario.known..scenario.known + scenario.new {
        let first = flood_at + random.below(scenario.lasts / 2);
        due.push(Reverse((first, caller)));
    }
    let mut figures = Figures::default();
    let mut quiet = |until: Duration, figures: &mut Figures, admits: &mut dyn FnMut(_, _) -> _| {
        while let Some((at, caller)) = pop_due(&mut due, until) {
            let admitted = admits(caller, start + at);
            if at >= flood_at {
                let whose = if caller < scenario.known {
                    &mut figures.known
                } else {
                    &mut figures.new
                };
                whose.count(admitted);
            }
            let next = scenario.period * 3 / 4 + random.below(scenario.period / 2);
            due.push(Reverse((at + next, caller)));
        }
    };
    let requests = scenario.rate * scenario.lasts.as_millis() as u64 / 1000;
    for number in 0..requests {
        let at = flood_at + Duration::from_nanos(number * 1_000_000_000 / scenario.rate);
        quiet(at, &mut figures, &mut admits);
        let admitted = admits(scenario.keys.key(number), start + at);
        figures.flood.count(admitted);
    }
    quiet(end, &mut figures, &mut admits);
    figures
}

impl Keys {
    /// The key of a request of the flood. Never the key of a quiet caller.
    fn key(self, number: u64) -> u64 {
        let key = match self {
            Self::Fresh => number,
            Self::Twice { after } => {
                let (round, place) = (number / (2 * after), number % (2 * after));
                round * after + place % after
            }
            Self::Pool(keys) => number % keys,
        };
        (1 << 32) + key
    }
}

/// The next caller that is due, and when.
fn pop_due(
    due: &mut BinaryHeap<Reverse<(Duration, u64)>>,
    until: Duration,
) -> Option<(Duration, u64)> {
    let Reverse((at, _)) = due.peek()?;
    if *at >= until {
        return None;
    }
    due.pop().map(|Reverse(next)| next)
}

/// A linear congruential generator (Knuth's MMIX): two runs differ only by the seed of the table's
/// hash.
struct Random(u64);

impl Random {
    fn below(&mut self, most: Duration) -> Duration {
        let next = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = next.wrapping_add(1_442_695_040_888_963_407);
        most.mul_f64((self.0 >> 11) as f64 / (1_u64 << 53) as f64)
    }
}
