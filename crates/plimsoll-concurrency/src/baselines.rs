//! How long calls of each route take without a queue, as far as live traffic shows.

use std::{
    hash::{BuildHasher, Hash, RandomState},
    sync::{
        Mutex,
        atomic::{
            AtomicU64,
            Ordering::{AcqRel, Acquire, Relaxed},
        },
    },
    time::Duration,
};

use plimsoll_core::Counter;
use tokio::time::Instant;

const MAX_ROUTES: usize = 4096;
/// Places that are tried for a route.
const PROBES: usize = 8;
/// A mean is taken of so many calls and of those of so long; or of a few once they are old.
const SAMPLES: u32 = 32;
const WINDOW: Duration = Duration::from_millis(100);
const FEWEST: u32 = 4;
/// How long a low mean is remembered, at least; at most twice as long.
const MEMORY: Duration = Duration::from_secs(10);

/// The number of routes is out of bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("routes are {0}, but must be 1 to 4096")]
pub struct InvalidBaselines(usize);

/// The latency of each route at rest, learned from its calls, so that the latencies of different routes compare.
///
/// Where slow and fast routes share a limit, the mean latency of all moves with their mix, and an algorithm takes that
/// for load. A call's latency over its own route's baseline does not.
///
/// The baseline of a route is the lowest of its recent means (of at least 32 calls and 100 milliseconds, over the last 10 to 20 seconds), each plus two standard
/// errors: the lowest of many noisy means would be too low, by the more the heavier the tail.
///
/// Routes have places in a table of fixed size. Those that find no place share one, and are [counted](Self::sharing).
///
/// # Cost
///
/// Nothing waits: a call that ends at the same moment as another of its route may not be counted.
#[derive(Debug)]
pub struct Baselines {
    hasher: RandomState,
    /// One place more than there are hashes: for those who share.
    routes: Box<[Route]>,
    hashes: Box<[AtomicU64]>,
    sharing: Counter,
}

/// Where a route's calls are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteIndex(u16);

#[derive(Debug, Default)]
struct Route {
    /// Nanoseconds; 0 before it is known.
    baseline: AtomicU64,
    learned: Mutex<Learned>,
}

/// The window at work and the lowest means. Pure.
#[derive(Debug, Default)]
struct Learned {
    began: Option<Instant>,
    count: u32,
    mean: f64,
    /// Sum of squared distances from the mean, by Welford's method.
    squares: f64,
    /// When this memory began, the lowest since, and the lowest of the memory before.
    since: Option<Instant>,
    lowest: Option<f64>,
    before: Option<f64>,
}

impl Baselines {
    /// For so many routes (rounded up to a power of two, at least 8).
    ///
    /// # Errors
    ///
    /// When there are none or more than 4096.
    pub fn new(routes: usize) -> Result<Self, InvalidBaselines> {
        if routes == 0 || routes > MAX_ROUTES {
            return Err(InvalidBaselines(routes));
        }
        let places = routes.next_power_of_two().max(PROBES);
        Ok(Self {
            hasher: RandomState::new(),
            routes: (0..=places).map(|_| Route::default()).collect(),
            hashes: (0..places).map(|_| AtomicU64::new(0)).collect(),
            sharing: Counter::new(),
        })
    }

    /// The place of the route with this key, taken with its first request.
    pub fn route(&self, key: impl Hash) -> RouteIndex {
        let hash = self.hasher.hash_one(key).max(1);
        let mask = self.hashes.len() - 1;
        for probe in 0..PROBES {
            let at = (hash as usize).wrapping_add(probe) & mask;
            let place = &self.hashes[at];
            let held = match place.load(Acquire) {
                0 => place
                    .compare_exchange(0, hash, AcqRel, Acquire)
                    .map_or_else(|other| other, |_| hash),
                held => held,
            };
            if held == hash {
                return RouteIndex(at as u16);
            }
        }
        self.sharing.add();
        RouteIndex(self.hashes.len() as u16)
    }

    /// The latency of this route at rest; `None` before its first mean.
    pub fn baseline(&self, route: RouteIndex) -> Option<Duration> {
        match self.at(route).baseline.load(Relaxed) {
            0 => None,
            nanos => Some(Duration::from_nanos(nanos)),
        }
    }

    /// A call of the route ended at `now`. Answers with how often the route's baseline it took: 1 at rest, and while none is known.
    pub fn record(&self, route: RouteIndex, latency: Duration, now: Instant) -> f64 {
        let route = self.at(route);
        let nanos = (latency.as_nanos() as f64).max(1.0);
        let baseline = route.baseline.load(Relaxed);
        if let Ok(mut learned) = route.learned.try_lock()
            && let Some(lowest) = learned.add(nanos, now)
        {
            route.baseline.store(lowest.max(1.0) as u64, Relaxed);
        }
        if baseline == 0 {
            return 1.0;
        }
        nanos / baseline as f64
    }

    /// Calls whose route found no place of its own.
    pub fn sharing(&self) -> u64 {
        self.sharing.get()
    }

    /// An index of another, larger table is the shared place here.
    fn at(&self, route: RouteIndex) -> &Route {
        let last = self.routes.len() - 1;
        &self.routes[usize::from(route.0).min(last)]
    }
}

impl Learned {
    /// One more call. Answers with the baseline when it was the last of a window.
    fn add(&mut self, nanos: f64, now: Instant) -> Option<f64> {
        let began = *self.began.get_or_insert(now);
        self.count += 1;
        let from_mean = nanos - self.mean;
        self.mean += from_mean / f64::from(self.count);
        self.squares += from_mean * (nanos - self.mean);
        let time = now.saturating_duration_since(began);
        let is_full = self.count >= SAMPLES && time >= WINDOW;
        let is_old = self.count >= FEWEST && time >= MEMORY;
        if !is_full && !is_old {
            return None;
        }
        let count = f64::from(self.count);
        let error = (self.squares / (count - 1.0) / count).sqrt();
        let mean = self.mean + 2.0 * error;
        (self.began, self.count, self.mean, self.squares) = (None, 0, 0.0, 0.0);
        Some(self.remember(mean, now))
    }

    fn remember(&mut self, mean: f64, now: Instant) -> f64 {
        let since = *self.since.get_or_insert(now);
        let age = now.saturating_duration_since(since);
        if age >= MEMORY {
            self.before = self.lowest.take().filter(|_| age < 2 * MEMORY);
            self.since = Some(now);
        }
        let lowest = self.lowest.map_or(mean, |lowest| lowest.min(mean));
        self.lowest = Some(lowest);
        self.before.map_or(lowest, |before| before.min(lowest))
    }
}
