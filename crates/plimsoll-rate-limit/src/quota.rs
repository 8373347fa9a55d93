//! How many requests, in which time, counted how.

use std::time::Duration;

use plimsoll_core::Allowance;

use crate::{
    InvalidQuota,
    gcra::Gcra,
    terms::Terms,
    window::{MAX_FIXED, MAX_SLIDING, Window},
    word::MAX_REFILL,
};

/// So many requests per period, counted in one of three ways.
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
/// // A thousand per clock hour, told to callers as "hourly".
/// const HOURLY: Quota = Quota::per_hour(1000).fixed_window().named("hourly");
/// assert_eq!(API.period(), Duration::from_secs(1));
/// assert_eq!(LOG_IN.max_burst(), 5);
/// ```
///
/// # Choosing an algorithm
///
/// | | in any one period at most | a cell holds | use it |
/// |---|---|---|---|
/// | token bucket (as made) | `burst + count` | one moment | nearly always: smooth, exact waits |
/// | [`fixed_window`](Self::fixed_window) | twice `count` | a count | for quotas that are sold or printed: "1000 per hour" |
/// | [`sliding_window`](Self::sliding_window) | twice `count`, and near `count` for steady traffic | two counts | where a window's edge must not double the rate |
/// | [`SlidingLog`](crate::SlidingLog) | `count`, exactly | every moment | for few requests that matter |
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
    burst: Option<u32>,
    counted: Counted,
    name: Option<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Counted {
    Bucket,
    FixedWindow,
    SlidingWindow,
}

impl Quota {
    /// The longest period, and the longest time in which a burst may be refilled: 365 days.
    pub const MAX_PERIOD: Duration = Duration::from_secs(365 * 24 * 60 * 60);

    /// `count` requests per `period`, all of which may come at once.
    pub const fn new(count: u32, period: Duration) -> Self {
        Self {
            count,
            period,
            burst: None,
            counted: Counted::Bucket,
            name: None,
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

    /// `count` requests per day.
    pub const fn per_day(count: u32) -> Self {
        Self::new(count, Duration::from_secs(24 * 60 * 60))
    }

    /// At most `requests` may come at once, after a pause long enough. For token buckets only.
    pub const fn burst(mut self, requests: u32) -> Self {
        self.burst = Some(requests);
        self
    }

    /// Counts in windows that follow each other, and forgets at the end of each: a caller can have the count at the end of
    /// one window and again at the start of the next. Windows are counted from the limit's first decision.
    pub const fn fixed_window(mut self) -> Self {
        self.counted = Counted::FixedWindow;
        self
    }

    /// Counts in windows that follow each other, and takes of the window before as much as still lies within one period, as
    /// if its requests had come evenly. At most 2^20 requests per period.
    pub const fn sliding_window(mut self) -> Self {
        self.counted = Counted::SlidingWindow;
        self
    }

    /// Tells callers this quota, under this name, in `RateLimit-Policy` and `RateLimit`: on refusals and on the
    /// answers to requests that were let in.
    ///
    /// `q` is the count and `w` the period (when it is whole seconds), `r` what is left, and `t` the time until the
    /// quota is whole or, when nothing is left, until the next request. The fields are a draft
    /// (draft-ietf-httpapi-ratelimit-headers).
    pub const fn named(mut self, name: &'static str) -> Self {
        self.name = Some(name);
        self
    }

    /// Requests per [period](Self::period).
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// The time in which [`count`](Self::count) requests are refilled, or the length of a window.
    pub const fn period(&self) -> Duration {
        self.period
    }

    /// Requests that may come at once.
    pub const fn max_burst(&self) -> u32 {
        match self.burst {
            Some(burst) => burst,
            None => self.count,
        }
    }

    /// The name under which callers are told, if they are.
    pub const fn name(&self) -> Option<&'static str> {
        self.name
    }

    /// The terms as two words, count and period.
    pub(crate) fn words(self) -> Result<[u64; 4], InvalidQuota> {
        let Self { count, period, .. } = self;
        if count == 0 {
            return Err(InvalidQuota::Count);
        }
        if period.is_zero() || period > Self::MAX_PERIOD {
            return Err(InvalidQuota::Period { period });
        }
        if let Some(name) = self.name
            && !Allowance::is_name(name)
        {
            return Err(InvalidQuota::Name(name));
        }
        let nanos = period.as_nanos() as u64; // at most 2^55
        let terms = match self.counted {
            Counted::Bucket => self.bucket(nanos)?,
            Counted::FixedWindow => self.window(nanos, MAX_FIXED)?,
            Counted::SlidingWindow => self.window(nanos, MAX_SLIDING)?,
        };
        let [head, tail] = terms.to_words();
        Ok([head, tail, count.into(), nanos])
    }

    fn bucket(self, nanos: u64) -> Result<Terms, InvalidQuota> {
        let (count, period, burst) = (self.count, self.period, self.max_burst());
        if burst == 0 {
            return Err(InvalidQuota::Burst);
        }
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
        Ok(Terms::Bucket(Gcra {
            increment,
            capacity: u64::from(burst) * increment,
        }))
    }

    fn window(self, period: u64, max: u32) -> Result<Terms, InvalidQuota> {
        let count = self.count;
        if count > max {
            return Err(InvalidQuota::Window { count, max });
        }
        if self.burst.is_some() {
            return Err(InvalidQuota::BurstOfWindow);
        }
        Ok(Terms::Window(Window {
            limit: count.into(),
            period,
            slides: self.counted == Counted::SlidingWindow,
        }))
    }

    /// The quota that these words were made of, without its name.
    pub(crate) fn from_words([head, tail, count, nanos]: [u64; 4]) -> Self {
        let quota = Self::new(count as u32, Duration::from_nanos(nanos));
        match Terms::from_words([head, tail]) {
            Terms::Bucket(gcra) => match (gcra.capacity / gcra.increment.max(1)) as u32 {
                burst if burst == quota.count => quota,
                burst => quota.burst(burst),
            },
            Terms::Window(Window { slides: false, .. }) => quota.fixed_window(),
            Terms::Window(Window { slides: true, .. }) => quota.sliding_window(),
        }
    }
}

// What passes the check, rounded up, fits a word.
const _: () = assert!(Quota::MAX_PERIOD.as_nanos() + u32::MAX as u128 <= MAX_REFILL as u128);
