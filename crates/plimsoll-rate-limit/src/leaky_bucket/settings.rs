//! Settings that can be changed while requests are queued.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use plimsoll_core::policy::{Counter, Epoch, Live};

use super::word::Rate;
use crate::bounds::MAX_PERIOD;

/// The largest `max_waiting`, in requests: bounds the memory of a queue.
const MAX_WAITING: usize = 1 << 20;
/// The largest `max_wait`.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
/// The default of `max_waiting`, in requests.
const DEFAULT_WAITING: usize = 1024;
/// The default of `max_wait`, as in Sentinel, unless the interval is longer.
const DEFAULT_WAIT: Duration = Duration::from_millis(500);

/// The default of `max_wait` in nanoseconds: at least one interval, so that one request can be
/// queued.
fn default_wait(interval: u64) -> u64 {
    let longest = LONGEST_WAIT.as_nanos() as u64;
    interval.clamp(DEFAULT_WAIT.as_nanos() as u64, longest)
}

/// A leaky bucket with a setting out of bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidLeakyBucket {
    /// The count is 0.
    Count,
    /// The period is zero, or longer than 365 days.
    Period(Duration),
    /// More than one request per nanosecond.
    Rate {
        /// Requests per period.
        count: u32,
        /// The period.
        period: Duration,
    },
    /// `max_waiting` is 0 or more than 2^20.
    MaxWaiting(usize),
    /// `max_wait` is zero or longer than 1 hour.
    MaxWait(Duration),
}

impl fmt::Display for InvalidLeakyBucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count => f.write_str("count must be at least 1 request, got 0"),
            Self::Period(got) => write!(f, "period must be 1 ns to 365 days, got {got:?}"),
            Self::Rate { count, period } => write!(
                f,
                "count must be at most 1 request per nanosecond, got {count} per {period:?}"
            ),
            Self::MaxWaiting(got) => write!(f, "max_waiting must be 1 to 2^20 requests, got {got}"),
            Self::MaxWait(got) => write!(f, "max_wait must be 1 ns to 1 hour, got {got:?}"),
        }
    }
}

impl std::error::Error for InvalidLeakyBucket {}

/// Settings and counters of one policy, or of all cells of a keyed one.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) rate: Rate,
    max_waiting: AtomicU64,
    /// Nanoseconds.
    max_wait: AtomicU64,
    pub(super) epoch: Epoch,
    pub(super) rejected: Counter,
    pub(super) past_deadline: Counter,
    pub(super) abandoned: Counter,
}

impl Settings {
    pub(super) fn new(count: u32, period: Duration) -> Result<Self, InvalidLeakyBucket> {
        let rate = checked(count, period)?;
        let [interval, ..] = rate;
        Ok(Self {
            rate: Live::new(rate),
            max_waiting: AtomicU64::new(DEFAULT_WAITING as u64),
            max_wait: AtomicU64::new(default_wait(interval)),
            epoch: Epoch::new(),
            rejected: Counter::new(),
            past_deadline: Counter::new(),
            abandoned: Counter::new(),
        })
    }

    pub(super) fn rate(&self) -> (u32, Duration) {
        let (_, [_, count, period]) = self.rate.read::<3>();
        (count as u32, Duration::from_nanos(period))
    }

    pub(super) fn set_rate(&self, count: u32, period: Duration) -> Result<(), InvalidLeakyBucket> {
        self.rate.set(checked(count, period)?);
        Ok(())
    }

    pub(super) fn max_waiting(&self) -> u64 {
        self.max_waiting.load(Relaxed)
    }

    pub(super) fn set_max_waiting(&self, requests: usize) -> Result<(), InvalidLeakyBucket> {
        if requests == 0 || requests > MAX_WAITING {
            return Err(InvalidLeakyBucket::MaxWaiting(requests));
        }
        self.max_waiting.store(requests as u64, Relaxed);
        Ok(())
    }

    /// The maximum time in the queue, in nanoseconds.
    pub(super) fn max_wait(&self) -> u64 {
        self.max_wait.load(Relaxed)
    }

    pub(super) fn set_max_wait(&self, wait: Duration) -> Result<(), InvalidLeakyBucket> {
        if wait.is_zero() || wait > LONGEST_WAIT {
            return Err(InvalidLeakyBucket::MaxWait(wait));
        }
        self.max_wait.store(wait.as_nanos() as u64, Relaxed);
        Ok(())
    }
}

/// Returns interval, count and period. Times in nanoseconds.
fn checked(count: u32, period: Duration) -> Result<[u64; 3], InvalidLeakyBucket> {
    if count == 0 {
        return Err(InvalidLeakyBucket::Count);
    }
    if period.is_zero() || period > MAX_PERIOD {
        return Err(InvalidLeakyBucket::Period(period));
    }
    let nanos = period.as_nanos() as u64;
    if u64::from(count) > nanos {
        return Err(InvalidLeakyBucket::Rate { count, period });
    }
    // Rounded up, so the rate is never exceeded.
    Ok([nanos.div_ceil(count.into()), count.into(), nanos])
}
