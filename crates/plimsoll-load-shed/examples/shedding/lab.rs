//! A discrete-event simulation of a service with a queue.

use std::{cmp::Reverse, collections::BinaryHeap, collections::VecDeque, time::Duration};

use fastrand::Rng;
use plimsoll_core::{Criticality, Priority};
use tokio::time::Instant;

/// A controller under test.
pub trait Shed {
    /// Whether a request of this priority is admitted.
    fn admit(&mut self, priority: Priority, now: Instant) -> bool;
    /// An admitted request starts after `waited` in the queue, and runs for `runs`.
    fn starts(&mut self, waited: Duration, runs: Duration, now: Instant);
    /// A request ends.
    fn ends(&mut self, now: Instant);
    /// The level below which all requests are shed.
    fn threshold(&self) -> u16;
}

/// Workers with an unbounded first-in first-out queue, and callers with a deadline.
#[derive(Debug, Clone, Copy)]
pub struct Service {
    pub workers: u32,
    /// Mean run time in seconds, exponentially distributed.
    pub mean: f64,
    /// In seconds.
    pub deadline: f64,
}

impl Service {
    /// In requests per second.
    pub fn capacity(&self) -> f64 {
        f64::from(self.workers) / self.mean
    }
}

/// The outcome of the requests that arrived in one second, by criticality.
#[derive(Debug, Clone, Copy, Default)]
pub struct Second {
    pub arrived: [u32; 4],
    pub admitted: [u32; 4],
    pub in_time: [u32; 4],
    /// At the end of the second.
    pub threshold: u16,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrives,
    /// A worker ends a request that arrived at this nanosecond.
    Ends(u64, Criticality),
}

/// Offers `rates` to the service: requests per second, each for one second.
pub fn run(
    service: Service,
    rates: impl IntoIterator<Item = f64>,
    mut whose: impl FnMut(&mut Rng) -> Priority,
    shed: &mut impl Shed,
    seed: u64,
) -> Vec<Second> {
    fastrand::seed(seed);
    let mut rng = Rng::with_seed(seed);
    let start = Instant::now();
    let at = |nanos: u64| start + Duration::from_nanos(nanos);
    let exponential = |rng: &mut Rng, mean: f64| (-(1.0 - rng.f64()).ln() * mean * 1e9) as u64;
    let rates: Vec<f64> = rates.into_iter().collect();
    let mut seconds = vec![Second::default(); rates.len()];
    let mut events = BinaryHeap::from([Reverse((0, Event::Arrives))]);
    let mut queue = VecDeque::new();
    let mut free = service.workers;
    while let Some(Reverse((now, event))) = events.pop() {
        let second = (now / 1_000_000_000) as usize;
        match event {
            Event::Arrives => {
                let Some(rate) = rates.get(second) else {
                    continue;
                };
                events.push(Reverse((
                    now + exponential(&mut rng, 1.0 / rate),
                    Event::Arrives,
                )));
                let priority = whose(&mut rng);
                let kind = priority.criticality() as usize;
                seconds[second].arrived[kind] += 1;
                if shed.admit(priority, at(now)) {
                    seconds[second].admitted[kind] += 1;
                    queue.push_back((now, priority.criticality()));
                }
                seconds[second].threshold = shed.threshold();
            }
            Event::Ends(arrived, criticality) => {
                free += 1;
                shed.ends(at(now));
                if (now - arrived) as f64 <= service.deadline * 1e9 {
                    seconds[(arrived / 1_000_000_000) as usize].in_time[criticality as usize] += 1;
                }
            }
        }
        while free > 0
            && let Some((arrived, criticality)) = queue.pop_front()
        {
            free -= 1;
            let runs = exponential(&mut rng, service.mean);
            let waited = Duration::from_nanos(now - arrived);
            shed.starts(waited, Duration::from_nanos(runs), at(now));
            events.push(Reverse((now + runs, Event::Ends(arrived, criticality))));
        }
    }
    seconds
}

/// The sum of a figure over some seconds.
pub fn sum(seconds: &[Second], of: impl Fn(&Second) -> [u32; 4]) -> [f64; 4] {
    seconds.iter().fold([0.0; 4], |sums, second| {
        let counts = of(second);
        std::array::from_fn(|kind| sums[kind] + f64::from(counts[kind]))
    })
}

/// One request of high priority to twelve of low priority, with evenly spread cohorts.
pub fn one_to_twelve(rng: &mut Rng) -> Priority {
    let criticality = if rng.u32(..13) == 0 {
        Criticality::CriticalPlus
    } else {
        Criticality::Sheddable
    };
    Priority::new(criticality).in_cohort(rng.u8(..128))
}
