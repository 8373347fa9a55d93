//! A quota: the number of requests, the period and the algorithm.

mod text;

use std::time::Duration;

use plimsoll_core::policy::Allowance;

pub use self::text::ParseQuotaError;
use crate::{
    CalendarUnit, InvalidQuota,
    bounds::MAX_PERIOD,
    calendar::{Anchor, MAX_OFFSET_MINUTES},
    gcra::Gcra,
    terms::Terms,
    window::{MAX_FIXED, MAX_SLIDING, Window},
    word::MAX_REFILL,
};

/// A number of requests per period, counted by one of several algorithms.
///
/// A quota can be a `const`. It is checked when a [`RateLimit`](crate::RateLimit) is made from it.
///
/// ```
/// use std::time::Duration;
/// use plimsoll_rate_limit::Quota;
///
/// // 100 requests per second, one per 10 ms on average, and up to 20 at once.
/// const API: Quota = Quota::per_second(100).burst(20);
/// // 5 log-ins per 15 minutes.
/// const LOG_IN: Quota = Quota::new(5, Duration::from_secs(15 * 60));
/// // 1,000 per hour, reported to callers as "hourly".
/// const HOURLY: Quota = Quota::per_hour(1000).fixed_window().named("hourly");
/// assert_eq!(API.period(), Duration::from_secs(1));
/// assert_eq!(LOG_IN.max_burst(), 5);
/// ```
///
/// A quota is read from text by [`FromStr`](Self#impl-FromStr-for-Quota), and printed as such.
///
/// # Choosing an algorithm
///
/// | | at most in any one period | a cell holds | use it |
/// |---|---|---|---|
/// | token bucket (default) | `count + burst - 1` | one time | in most cases: smooth, exact waits |
/// | [`fixed_window`](Self::fixed_window) | twice `count` | a count | for published quotas: "1000 per hour" |
/// | [`per_calendar_day`](Self::per_calendar_day), hour, week | twice `count` | a count | for quotas that end at midnight |
/// | [`sliding_window`](Self::sliding_window) | twice `count`, and close to `count` for steady traffic | two counts | where the edge of a window must not double the rate |
/// | [`SlidingLog`](crate::SlidingLog) | `count`, exactly | every time | for few, expensive requests |
///
/// # Choosing a burst
///
/// A greedy client gets up to `count + burst - 1` requests into one period: the burst, and what is
/// refilled meanwhile. The default burst is the whole count, so "100 per minute" may be spent in
/// the first second of a minute. A smaller burst makes the traffic smoother.
#[doc(alias("burst", "token bucket", "requests per second"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use]
pub struct Quota {
    count: u32,
    period: Duration,
    burst: Option<u32>,
    counted: Counted,
    offset_minutes: i32,
    name: Option<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Counted {
    Bucket,
    FixedWindow,
    SlidingWindow,
    Calendar(CalendarUnit),
}

impl Quota {
    /// The longest period, and the longest time in which a burst may be refilled: 365 days.
    pub const MAX_PERIOD: Duration = MAX_PERIOD;

    /// `count` requests per `period`, all of which may arrive at once.
    pub const fn new(count: u32, period: Duration) -> Self {
        Self {
            count,
            period,
            burst: None,
            counted: Counted::Bucket,
            offset_minutes: 0,
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

    /// `count` requests per hour of the clock; the count starts again at each full hour.
    ///
    /// See [`per_calendar_day`](Self::per_calendar_day).
    pub const fn per_calendar_hour(count: u32) -> Self {
        Self::per_calendar(count, CalendarUnit::Hour)
    }

    /// `count` requests per day of the calendar; the count starts again at midnight.
    ///
    /// A [fixed window](Self::fixed_window) whose edges follow the wall clock, in UTC or at an
    /// [offset](Self::utc_offset_minutes) from it.
    ///
    /// ```
    /// use plimsoll_rate_limit::{Quota, RateLimit};
    ///
    /// // 1,000 per day. The day ends at midnight in UTC+2, all year.
    /// let quota = Quota::per_calendar_day(1_000).utc_offset_minutes(2 * 60).named("daily");
    /// let limit = RateLimit::new(quota)?;
    /// # Ok::<_, plimsoll_rate_limit::InvalidQuota>(())
    /// ```
    ///
    /// # The wall clock
    ///
    /// Decisions read no clock: they take tokio's `Instant`, which paused tests control. The wall
    /// clock is read once, together with an `Instant`, when the limit is made or its first calendar
    /// window is set. From then on the wall clock is assumed to advance with the `Instant`. When it
    /// was set, or the machine was suspended, call
    /// [`set_wall_clock`](crate::RateLimitHandle::set_wall_clock).
    ///
    /// Time zones are not supported: set the offset again when it changes with the season. A day
    /// has 86,400 seconds, as in Unix time.
    pub const fn per_calendar_day(count: u32) -> Self {
        Self::per_calendar(count, CalendarUnit::Day)
    }

    /// `count` requests per week of the calendar, from Monday, 00:00, to the next Monday.
    ///
    /// See [`per_calendar_day`](Self::per_calendar_day).
    pub const fn per_calendar_week(count: u32) -> Self {
        Self::per_calendar(count, CalendarUnit::Week)
    }

    const fn per_calendar(count: u32, unit: CalendarUnit) -> Self {
        let mut quota = Self::new(count, unit.period());
        quota.counted = Counted::Calendar(unit);
        quota
    }

    /// Sets the UTC offset of a calendar window, in minutes from -1,439 to 1,439.
    ///
    /// With 120, a day begins at midnight in UTC+2, which is 22:00 in UTC. Offsets west of
    /// Greenwich are negative. For calendar windows only.
    pub const fn utc_offset_minutes(mut self, minutes: i32) -> Self {
        self.offset_minutes = minutes;
        self
    }

    /// Sets how many requests may arrive at once after a pause. For token buckets only.
    pub const fn burst(mut self, requests: u32) -> Self {
        self.burst = Some(requests);
        self
    }

    /// Counts in consecutive windows; the count starts again with each window.
    ///
    /// A caller can spend the count at the end of one window and again at the start of the next.
    /// The first window starts at the limit's first decision or call of
    /// [`available`](crate::RateLimit::available). For windows of the wall clock see
    /// [`per_calendar_day`](Self::per_calendar_day).
    pub const fn fixed_window(mut self) -> Self {
        self.counted = Counted::FixedWindow;
        self
    }

    /// Counts in consecutive windows and adds the part of the previous window within one period.
    ///
    /// The requests of the previous window count as if they had been evenly spaced. At most 2^20
    /// requests per period.
    pub const fn sliding_window(mut self) -> Self {
        self.counted = Counted::SlidingWindow;
        self
    }

    /// Reports this quota to callers under this name, in `RateLimit-Policy` and `RateLimit`.
    ///
    /// The fields are set on rejections and on responses to admitted requests. `q` is the count,
    /// `w` the period (if it is whole seconds), `r` what is left, and `t` the time until the quota
    /// is full or, when nothing is left, until the next request. The fields are a draft
    /// (draft-ietf-httpapi-ratelimit-headers).
    pub const fn named(mut self, name: &'static str) -> Self {
        self.name = Some(name);
        self
    }

    /// As [`named`](Self::named), for a name that is known only at run time.
    ///
    /// The name is kept for the life of the process; see [`Allowance::intern`].
    ///
    /// # Errors
    ///
    /// When the name is not valid in a header, or 4,096 other names are kept.
    pub fn with_name(self, name: &str) -> Result<Self, InvalidQuota> {
        match Allowance::intern(name) {
            Some(name) => Ok(self.named(name)),
            None if Allowance::is_name(name) => Err(InvalidQuota::Names(name.into())),
            None => Err(InvalidQuota::Name(name.into())),
        }
    }

    /// Requests per [period](Self::period).
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// The time in which [`count`](Self::count) requests are refilled, or the length of a window.
    pub const fn period(&self) -> Duration {
        self.period
    }

    /// Requests that may arrive at once.
    pub const fn max_burst(&self) -> u32 {
        match self.burst {
            Some(burst) => burst,
            None => self.count,
        }
    }

    /// The unit of the calendar, if this is a calendar window.
    pub const fn calendar_unit(&self) -> Option<CalendarUnit> {
        match self.counted {
            Counted::Calendar(unit) => Some(unit),
            _ => None,
        }
    }

    /// The offset from UTC in minutes; 0 unless it was [set](Self::utc_offset_minutes).
    pub const fn offset_minutes(&self) -> i32 {
        self.offset_minutes
    }

    /// The phase of a calendar window: added to Unix time, it makes windows begin at multiples of
    /// the [period](Self::period).
    ///
    /// The number of a window is `(unix_time + phase) / period`. Less than the period.
    pub const fn calendar_phase(&self) -> Option<Duration> {
        match self.counted {
            Counted::Calendar(unit) => {
                Some(Duration::from_secs(unit.phase_secs(self.offset_minutes)))
            }
            _ => None,
        }
    }

    /// Checks the settings of this quota, as [`RateLimit::new`](crate::RateLimit::new) does.
    ///
    /// # Errors
    ///
    /// As for [`RateLimit::new`](crate::RateLimit::new).
    pub fn check(&self) -> Result<(), InvalidQuota> {
        self.words(Anchor::UNIX, None).map(drop)
    }

    /// The name under which this quota is reported to callers, if any.
    pub const fn name(&self) -> Option<&'static str> {
        self.name
    }

    /// The terms as two words, then count and period. The anchor sets where calendar windows begin.
    /// State kept under `old` terms can be carried over.
    pub(crate) fn words(
        self,
        anchor: Anchor,
        old: Option<Terms>,
    ) -> Result<[u64; 4], InvalidQuota> {
        let Self { count, period, .. } = self;
        if count == 0 {
            return Err(InvalidQuota::Count);
        }
        if period.is_zero() || period > Self::MAX_PERIOD {
            return Err(InvalidQuota::Period { period });
        }
        if let Some(name) = self.name {
            if !Allowance::is_name(name) {
                return Err(InvalidQuota::Name(name.into()));
            }
        }
        let minutes = self.offset_minutes;
        if minutes != 0 && self.calendar_unit().is_none() {
            return Err(InvalidQuota::OffsetOfPeriod);
        }
        if minutes.unsigned_abs() > MAX_OFFSET_MINUTES {
            return Err(InvalidQuota::UtcOffset { minutes });
        }
        let nanos = period.as_nanos() as u64; // at most 2^55
        let (terms, calendar) = match self.counted {
            Counted::Bucket => (self.bucket(nanos)?, None),
            Counted::FixedWindow => (self.window(nanos, MAX_FIXED, 0)?, None),
            Counted::SlidingWindow => (self.window(nanos, MAX_SLIDING, 0)?, None),
            Counted::Calendar(unit) => {
                let shift = anchor.shift(unit, minutes);
                let terms = self.window(nanos, MAX_FIXED, shift)?;
                (terms, Some((unit, minutes)))
            }
        };
        let [head, tail] = terms.to_words(calendar, old);
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
        // Rounded up, so the rate never exceeds the quota.
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

    fn window(self, period: u64, max: u32, shift: u64) -> Result<Terms, InvalidQuota> {
        let count = self.count;
        if count > max {
            return Err(InvalidQuota::Window { count, max });
        }
        if self.burst.is_some() {
            return Err(InvalidQuota::BurstOfWindow);
        }
        let slides = self.counted == Counted::SlidingWindow;
        Ok(Terms::Window(Window::new(
            count.into(),
            period,
            slides,
            shift,
        )))
    }

    /// The quota that these words encode, without its name.
    pub(crate) fn from_words([head, tail, count, nanos]: [u64; 4]) -> Self {
        let quota = Self::new(count as u32, Duration::from_nanos(nanos));
        if let Some((unit, minutes)) = Terms::calendar(head) {
            return Self::per_calendar(quota.count, unit).utc_offset_minutes(minutes);
        }
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

// Every quota that passes the check, rounded up, fits a word.
const _: () = assert!(Quota::MAX_PERIOD.as_nanos() + u32::MAX as u128 <= MAX_REFILL as u128);
