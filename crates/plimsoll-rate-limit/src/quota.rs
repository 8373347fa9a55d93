//! How many requests, in which time, how many of them at once.

use std::time::Duration;

use crate::{InvalidQuota, bucket::MAX_REFILL, gcra::Terms};

/// So many requests per period, of which so many may come at once.
///
/// A quota can be written down in a `const`; it is checked when a [`RateLimit`](crate::RateLimit) is made of it.
///
/// ```
/// use std::time::Duration;
/// use plimsoll_rate_limit::Quota;
///
/// // A hundred requests per second, one each 10 ms on average, and up to twenty at once.
/// const API: Quota = Quota::per_second(100).burst(20);
/// // Five log-ins per quarter of an hour.
/// const LOG_IN: Quota = Quota::new(5, Duration::from_secs(15 * 60));
/// assert_eq!(API.period(), Duration::from_secs(1));
/// assert_eq!(LOG_IN.max_burst(), 5);
/// ```
///
/// # Choosing a burst
///
/// A client that is greedy gets `count + burst - 1` requests into its worst period: the burst, and what is refilled
/// meanwhile. Without a word about it the burst is the whole count, so that "a hundred per minute" may be spent in
/// the first second of each minute. A smaller burst smooths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use]
pub struct Quota {
    count: u32,
    period: Duration,
    burst: u32,
}

impl Quota {
    /// The longest period, and the longest time in which a burst may be refilled: 365 days.
    pub const MAX_PERIOD: Duration = Duration::from_secs(365 * 24 * 60 * 60);

    /// `count` requests per `period`, all of which may come at once.
    pub const fn new(count: u32, period: Duration) -> Self {
        Self {
            count,
            period,
            burst: count,
        }
    }

    /// `count` requests per second.
    pub const fn per_second(count: u32) -> Self {
        Self::new(count, Duration::from_secs(1))
    }

    /// `count` requests per minute.
    pub const fn per_minute(count: u32) -> Self {
        Self::new(count, Duration::from_secs(60))
    }

    /// `count` requests per hour.
    pub const fn per_hour(count: u32) -> Self {
        Self::new(count, Duration::from_secs(60 * 60))
    }

    /// At most `requests` may come at once, after a pause long enough.
    pub const fn burst(mut self, requests: u32) -> Self {
        self.burst = requests;
        self
    }

    /// Requests per [period](Self::period).
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// The time in which [`count`](Self::count) requests are refilled.
    pub const fn period(&self) -> Duration {
        self.period
    }

    /// Requests that may come at once.
    pub const fn max_burst(&self) -> u32 {
        self.burst
    }

    /// Increment, tolerance, count and period, as a bucket reads them.
    pub(crate) fn words(self) -> Result<[u64; 4], InvalidQuota> {
        let Self {
            count,
            period,
            burst,
        } = self;
        if count == 0 {
            return Err(InvalidQuota::Count);
        }
        if burst == 0 {
            return Err(InvalidQuota::Burst);
        }
        if period.is_zero() || period > Self::MAX_PERIOD {
            return Err(InvalidQuota::Period { period });
        }
        let nanos = period.as_nanos() as u64; // at most 2^55
        if u64::from(count) > nanos {
            return Err(InvalidQuota::Rate { count, period });
        }
        // Rounded up: never more than the quota.
        let increment = nanos.div_ceil(u64::from(count));
        let refill = u128::from(increment) * u128::from(burst);
        // Rounding has added less than one nanosecond per request.
        if refill > Self::MAX_PERIOD.as_nanos() + u128::from(burst) {
            return Err(InvalidQuota::Refill {
                burst,
                increment: Duration::from_nanos(increment),
            });
        }
        Ok([
            increment,
            (u64::from(burst) - 1) * increment,
            count.into(),
            nanos,
        ])
    }

    /// The quota that these words were made of.
    pub(crate) fn from_words([increment, tolerance, count, nanos]: [u64; 4]) -> Self {
        let burst = (tolerance / increment.max(1) + 1) as u32;
        Self {
            count: count as u32,
            period: Duration::from_nanos(nanos),
            burst,
        }
    }

    /// The terms among the words.
    pub(crate) const fn terms([increment, tolerance, ..]: [u64; 4]) -> Terms {
        Terms {
            increment,
            tolerance,
        }
    }
}

// What passes the check, rounded up, fits a bucket's word.
const _: () = assert!(Quota::MAX_PERIOD.as_nanos() + u32::MAX as u128 <= MAX_REFILL as u128);
