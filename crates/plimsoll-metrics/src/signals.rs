//! The load signals of a registry, and how one that blocks is kept away from health checks.

use std::{
    fmt,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{
            AtomicBool, AtomicU64,
            Ordering::{AcqRel, Acquire, Relaxed, Release},
        },
    },
    time::Duration,
};

use plimsoll_core::{LoadSignal, policy::Epoch};
use tokio::time::Instant;

use crate::{InvalidMetric, pulled::attempt, watched::MAX_NAME};

/// Bound of load signals: all are read in each scrape.
const MAX_SIGNALS: usize = 64;
/// A reading that takes this long or longer makes a signal slow: health checks then use the latest
/// reading of others. Readings are a few atomics, some ten nanoseconds; a thread that is preempted
/// returns within a few milliseconds. `a_signal_that_blocks_delays_one_health_check_at_most` fails
/// with 10 s.
const SLOW: Duration = Duration::from_millis(50);
/// The age of the latest reading of a slow signal from which a health check reads it again.
/// `a_slow_signal_that_recovers_is_read_again` fails when it differs.
const RETRY: Duration = Duration::from_secs(30);
/// The age from which a reading counts as unknown: a signal that is stuck must not take a server out
/// of its balancer, or keep it there. `a_reading_that_is_too_old_counts_as_idle` fails when it
/// differs.
const OLD: Duration = Duration::from_secs(10);
/// No reading yet.
const NEVER: u64 = u64::MAX;

/// A load signal and its name.
pub(crate) struct Signal {
    pub(crate) name: String,
    read: Box<dyn LoadSignal + Send + Sync>,
    /// Whether a thread is reading.
    reading: AtomicBool,
    is_slow: AtomicBool,
    /// The latest reading as bits, NaN when it panicked; and when it was taken.
    value: AtomicU64,
    at: AtomicU64,
}

/// What is known of a signal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Reading {
    /// `None` when it panicked or is too old.
    pub(crate) load: Option<f64>,
    pub(crate) age: Age,
}

/// When a reading was taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Age {
    Now,
    Before(Duration),
    /// There is no reading yet.
    Never,
}

/// The load signals. Two lists of the same signals with a lock each, so that health checks share no
/// lock with scrapes.
#[derive(Default)]
pub(crate) struct Signals {
    all: RwLock<Arc<Vec<Arc<Signal>>>>,
    of_health: RwLock<Arc<Vec<Arc<Signal>>>>,
    epoch: Epoch,
}

impl Signals {
    pub(crate) fn add(
        &self,
        name: String,
        signal: impl LoadSignal + Send + Sync + 'static,
    ) -> Result<(), InvalidMetric> {
        if name.is_empty() || name.len() > MAX_NAME {
            return Err(InvalidMetric::WatchedName { bytes: name.len() });
        }
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        if all.iter().any(|known| known.name == name) {
            return Err(InvalidMetric::Duplicate { name });
        }
        if all.len() >= MAX_SIGNALS {
            return Err(InvalidMetric::Full {
                what: "load signals",
                max: MAX_SIGNALS,
            });
        }
        Arc::make_mut(&mut all).push(Arc::new(Signal {
            name,
            read: Box::new(signal),
            reading: AtomicBool::new(false),
            is_slow: AtomicBool::new(false),
            value: AtomicU64::new(f64::NAN.to_bits()),
            at: AtomicU64::new(NEVER),
        }));
        *self
            .of_health
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(all.to_vec());
        Ok(())
    }

    /// Reads all signals, also slow ones, outside of the lock. One that another thread is reading
    /// has its latest value.
    pub(crate) fn read_all(&self, failed: impl Fn()) -> Vec<(String, Option<f64>)> {
        let all = Arc::clone(&self.all.read().unwrap_or_else(PoisonError::into_inner));
        let read = |signal: &Arc<Signal>| {
            let load = match signal.read(&self.epoch) {
                Some(Ok(load)) => Some(load),
                Some(Err(())) => {
                    failed();
                    None
                }
                None => signal.latest(self.epoch.nanos(Instant::now())).load,
            };
            (signal.name.clone(), load)
        };
        all.iter().map(read).collect()
    }

    /// Reads the signals for a health check: a slow one, or one that another thread is reading, has
    /// its latest value.
    pub(crate) fn for_health(&self, failed: impl Fn()) -> Vec<(Arc<Signal>, Reading)> {
        let all = Arc::clone(
            &self
                .of_health
                .read()
                .unwrap_or_else(PoisonError::into_inner),
        );
        let read = |signal: &Arc<Signal>| {
            let now = self.epoch.nanos(Instant::now());
            let known = (!signal.may_read(now)).then(|| signal.latest(now));
            let reading = known.unwrap_or_else(|| match signal.read(&self.epoch) {
                Some(load) => {
                    if load.is_err() {
                        failed();
                    }
                    Reading {
                        load: load.ok(),
                        age: Age::Now,
                    }
                }
                None => signal.latest(now),
            });
            (Arc::clone(signal), reading)
        };
        all.iter().map(read).collect()
    }
}

impl Signal {
    /// Reads the signal, unless another thread does. `Err` when it panics.
    fn read(&self, epoch: &Epoch) -> Option<Result<f64, ()>> {
        if self.reading.swap(true, AcqRel) {
            return None;
        }
        let start = epoch.nanos(Instant::now());
        let load = attempt(|| self.read.load());
        let end = epoch.nanos(Instant::now());
        let took = Duration::from_nanos(end.saturating_sub(start));
        self.is_slow.store(took >= SLOW, Relaxed);
        self.value
            .store(load.unwrap_or(f64::NAN).to_bits(), Relaxed);
        self.at.store(end, Release);
        self.reading.store(false, Release);
        Some(load.ok_or(()))
    }

    fn may_read(&self, now: u64) -> bool {
        !self.is_slow.load(Relaxed) || self.age(now).is_none_or(|age| age >= RETRY)
    }

    fn latest(&self, now: u64) -> Reading {
        let age = self.age(now);
        let value = f64::from_bits(self.value.load(Relaxed));
        let is_known = age.is_some_and(|age| age < OLD) && !value.is_nan();
        Reading {
            load: is_known.then_some(value),
            age: age.map_or(Age::Never, Age::Before),
        }
    }

    fn age(&self, now: u64) -> Option<Duration> {
        let at = self.at.load(Acquire);
        (at != NEVER).then(|| Duration::from_nanos(now.saturating_sub(at)))
    }
}

impl fmt::Debug for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        f.debug_set()
            .entries(all.iter().map(|signal| &signal.name))
            .finish()
    }
}
