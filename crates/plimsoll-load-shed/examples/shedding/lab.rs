//! A service with a queue, in time of its own: events in order, and nothing sleeps.

use std::{cmp::Reverse, collections::BinaryHeap, collections::VecDeque, time::Duration};

use fastrand::Rng;
use plimsoll_core::{Criticality, Priority};
use tokio::time::Instant;

/// Decides on requests, and sees what becomes of them.
pub trait Shed {
    /// Whether a request of this priority is let in.
    fn admit(&mut self, priority: Priority, now: Instant) -> bool;
    /// One that was let in begins to run, after it has waited, and will run for so long.
    fn starts(&mut self, waited: Duration, runs: Duration, now: Instant);
    /// One ends.
    fn ends(&mut self, now: Instant);
    /// The level below which all is shed.
    fn threshold(&self) -> u16;
}

/// Workers with an endless queue, first in, first out, and callers that wait for so long.
#[derive(Debug, Clone, Copy)]
pub struct Service {
    pub workers: u32,
    /// Seconds; the times are exponential.
    pub mean: f64,
    /// Seconds.
    pub deadline: f64,
}

impl Service {
    /// Requests a second.
    pub fn capacity(&self) -> f64 {
        f64::from(self.workers) / self.mean
    }
}

/// What became of the requests that arrived in one second, by criticality.
#[derive(Debug, Clone, Copy, Default)]
pub struct Second {
    pub arrived: [u32; 4],
    pub admitted: [u32; 4],
    pub in_time: [u32; 4],
    /// At its end.
    pub threshold: u16,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrives,
    /// A worker is done with a request that arrived at this nanosecond.
    Ends(u64, Criticality),
}

/// Offers `rates` (each for a second, requests per second) to the service.
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

/// Sums over some seconds.
pub fn sum(seconds: &[Second], of: impl Fn(&Second) -> [u32; 4]) -> [f64; 4] {
    seconds.iter().fold([0.0; 4], |sums, second| {
        let counts = of(second);
        std::array::from_fn(|kind| sums[kind] + f64::from(counts[kind]))
    })
}

/// One request of high priority to twelve of low, of users that are spread evenly.
pub fn one_to_twelve(rng: &mut Rng) -> Priority {
    let criticality = if rng.u32(..13) == 0 {
        Criticality::CriticalPlus
    } else {
        Criticality::Sheddable
    };
    Priority::new(criticality).in_cohort(rng.u8(..128))
}
