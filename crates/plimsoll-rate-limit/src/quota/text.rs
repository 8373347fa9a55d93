//! Quotas as text: `100/s`, `1000/h fixed-window named hourly`.

use std::{fmt, str::FromStr, time::Duration};

use plimsoll_core::support::{DurationText, parse_duration};

use super::{Counted, Quota};
use crate::{CalendarUnit, InvalidQuota};

/// A text is not a quota.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParseQuotaError {
    /// A part of the text is not in the grammar.
    Syntax {
        /// What the grammar has there.
        expected: &'static str,
        /// The part of the text.
        got: Box<str>,
    },
    /// The quota is out of bounds.
    Quota(InvalidQuota),
}

impl fmt::Display for ParseQuotaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax { expected, got } => write!(f, "quota must have {expected}, got {got:?}"),
            Self::Quota(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ParseQuotaError {}

impl From<InvalidQuota> for ParseQuotaError {
    fn from(error: InvalidQuota) -> Self {
        Self::Quota(error)
    }
}

fn expected(expected: &'static str, got: &str) -> ParseQuotaError {
    ParseQuotaError::Syntax {
        expected,
        got: got.into(),
    }
}

const COUNT: &str = "a count of requests before `/`, such as `100/s`";
const PERIOD: &str = "a period after `/`: `s`, `15m` or another integer with ns, us, ms, s, m, h \
                      or d; or calendar-hour, calendar-day, calendar-week";
const OPTION: &str = "`burst N`, `fixed-window`, `sliding-window`, `utc +HH:MM` or `named NAME` \
                      after the period, each at most once";

/// Parses a quota.
///
/// ```text
/// quota   = count "/" period *( " " option )
/// period  = [integer] unit | "calendar-hour" | "calendar-day" | "calendar-week"
/// unit    = "ns" | "us" | "ms" | "s" | "m" | "h" | "d"
/// option  = "burst" " " count | "fixed-window" | "sliding-window"
///         | "utc" " " ("+" | "-") HH ":" MM
///         | "named" " " name                      the last option: the rest of the text
/// ```
///
/// ```
/// use std::time::Duration;
/// use plimsoll_rate_limit::Quota;
///
/// let api: Quota = "100/1m burst 20 named per-client".parse()?;
/// assert_eq!(api, Quota::per_minute(100).burst(20).named("per-client"));
/// let log_in: Quota = "5/15m".parse()?;
/// assert_eq!(log_in, Quota::new(5, Duration::from_secs(15 * 60)));
/// let daily: Quota = "1000/calendar-day utc +02:00".parse()?;
/// assert_eq!(daily.to_string(), "1000/calendar-day utc +02:00");
///
/// let error = "0/s".parse::<Quota>().unwrap_err();
/// assert_eq!(error.to_string(), "count must be at least 1 request, got 0");
/// # Ok::<_, plimsoll_rate_limit::ParseQuotaError>(())
/// ```
impl FromStr for Quota {
    type Err = ParseQuotaError;

    /// # Errors
    ///
    /// When the text is not in the grammar, or the quota is not [valid](Quota::check).
    fn from_str(text: &str) -> Result<Self, ParseQuotaError> {
        let (count, rest) = text.split_once('/').ok_or_else(|| expected(COUNT, text))?;
        let count = number(count).ok_or_else(|| expected(COUNT, count))?;
        let (period, mut options) = rest.split_once(' ').unwrap_or((rest, ""));
        let mut quota = period_of(count, period).ok_or_else(|| expected(PERIOD, period))?;
        let (mut algorithm, mut offset) = (quota.calendar_unit().is_some(), false);
        while !options.is_empty() {
            let (name, rest) = options.split_once(' ').unwrap_or((options, ""));
            let fail = || expected(OPTION, options);
            let (value, after) = rest.split_once(' ').unwrap_or((rest, ""));
            options = match name {
                "burst" if quota.burst.is_none() => {
                    quota = quota.burst(number(value).ok_or_else(fail)?);
                    after
                }
                "fixed-window" if !algorithm => {
                    (quota, algorithm) = (quota.fixed_window(), true);
                    rest
                }
                "sliding-window" if !algorithm => {
                    (quota, algorithm) = (quota.sliding_window(), true);
                    rest
                }
                "utc" if !offset => {
                    quota = quota.utc_offset_minutes(minutes(value).ok_or_else(fail)?);
                    offset = true;
                    after
                }
                "named" => {
                    quota = quota.with_name(rest)?;
                    ""
                }
                _ => return Err(fail()),
            };
        }
        quota.check()?;
        Ok(quota)
    }
}

/// Prints a quota as [`FromStr`] reads it.
impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/", self.count)?;
        match self.counted {
            Counted::Calendar(unit) => f.write_str(calendar_name(unit))?,
            _ => write_period(f, self.period)?,
        }
        if let Some(burst) = self.burst {
            write!(f, " burst {burst}")?;
        }
        match self.counted {
            Counted::FixedWindow => f.write_str(" fixed-window")?,
            Counted::SlidingWindow => f.write_str(" sliding-window")?,
            Counted::Bucket | Counted::Calendar(_) => {}
        }
        let minutes = self.offset_minutes.unsigned_abs();
        if minutes != 0 {
            let sign = if self.offset_minutes < 0 { '-' } else { '+' };
            write!(f, " utc {sign}{:02}:{:02}", minutes / 60, minutes % 60)?;
        }
        match self.name {
            Some(name) => write!(f, " named {name}"),
            None => Ok(()),
        }
    }
}

/// An integer without a sign.
fn number(text: &str) -> Option<u32> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

fn period_of(count: u32, period: &str) -> Option<Quota> {
    match period {
        "calendar-hour" => Some(Quota::per_calendar_hour(count)),
        "calendar-day" => Some(Quota::per_calendar_day(count)),
        "calendar-week" => Some(Quota::per_calendar_week(count)),
        _ if period.starts_with(|letter: char| letter.is_ascii_digit()) => {
            Some(Quota::new(count, parse_duration(period)?))
        }
        unit => Some(Quota::new(count, parse_duration(&format!("1{unit}"))?)),
    }
}

const fn calendar_name(unit: CalendarUnit) -> &'static str {
    match unit {
        CalendarUnit::Hour => "calendar-hour",
        CalendarUnit::Day => "calendar-day",
        CalendarUnit::Week => "calendar-week",
    }
}

/// The period, without a 1 before the unit.
fn write_period(f: &mut fmt::Formatter<'_>, period: Duration) -> fmt::Result {
    let text = DurationText(period).to_string();
    let unit = text
        .strip_prefix('1')
        .filter(|unit| unit.starts_with(|letter: char| letter.is_ascii_lowercase()));
    f.write_str(unit.unwrap_or(&text))
}

/// An offset such as `+02:00`, in minutes.
fn minutes(offset: &str) -> Option<i32> {
    let sign = match offset.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = offset.get(1..)?.split_once(':')?;
    let two = |text: &str| (text.len() == 2).then(|| number(text)).flatten();
    let minutes = two(minutes).filter(|minutes| *minutes < 60)?;
    Some(sign * i32::try_from(two(hours)? * 60 + minutes).ok()?)
}

#[cfg(feature = "serde")]
impl serde::Serialize for Quota {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Quota {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = <String as serde::Deserialize>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
