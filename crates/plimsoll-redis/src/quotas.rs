//! The quotas of one limit, in the form that the scripts read.

use std::time::Duration;

use plimsoll_core::policy::Allowance;
use plimsoll_rate_limit::Quota;

use crate::InvalidRedisRateLimit;

/// Integers below this are exact in doubles, the numbers of Lua.
const EXACT: u128 = 1 << 53;

/// The algorithm of a quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Gcra,
    SlidingWindow,
    FixedWindow,
}

/// One quota, its name in Redis, and its numbers for the scripts.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    pub(crate) quota: Quota,
    pub(crate) algorithm: Algorithm,
    pub(crate) key: Box<str>,
    /// Microseconds: the increment of a bucket, the period of a window.
    pub(crate) unit: u64,
    /// Requests: the burst of a bucket, the count of a window.
    pub(crate) size: u32,
    /// Microseconds to add to the clock, so that windows begin at multiples of the period.
    pub(crate) phase: u64,
}

/// What is left of one quota after a decision. Plain data, and small, since permits carry it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) requests: u32,
    /// Rounded up; 49 days at most.
    pub(crate) reset_millis: u32,
}

impl Shared {
    pub(crate) fn new(quota: Quota) -> Result<Self, InvalidRedisRateLimit> {
        // Rejects what a local limit would reject.
        quota.check()?;
        let phase = quota.calendar_phase();
        let algorithm = if phase.is_some() || quota == quota.fixed_window() {
            Algorithm::FixedWindow
        } else if quota == quota.sliding_window() {
            Algorithm::SlidingWindow
        } else {
            Algorithm::Gcra
        };
        if let Some(name) = quota.name()
            && name.contains(['{', '}'])
        {
            return Err(InvalidRedisRateLimit::Name(name));
        }
        let (count, period) = (quota.count(), quota.period());
        let micros = period.as_micros();
        if micros == 0 || !period.subsec_nanos().is_multiple_of(1000) {
            return Err(InvalidRedisRateLimit::Period { period });
        }
        let (unit, size) = match algorithm {
            Algorithm::Gcra if u128::from(count) > micros => {
                return Err(InvalidRedisRateLimit::Rate { count, period });
            }
            // Rounded up, so the rate never exceeds the quota.
            Algorithm::Gcra => (micros.div_ceil(count.into()), quota.max_burst()),
            Algorithm::SlidingWindow | Algorithm::FixedWindow => (micros, count),
        };
        // A fixed window only computes its end, which stays exact.
        if algorithm != Algorithm::FixedWindow && unit * u128::from(size) > EXACT / 2 {
            return Err(InvalidRedisRateLimit::TooFine { count, period });
        }
        let phase = phase.map(|phase| phase.as_micros() as u64); // at most a week
        let key = match (quota.name(), algorithm, phase) {
            (Some(name), _, _) => name.to_owned(),
            (None, Algorithm::Gcra, _) => format!("bucket-{count}-{micros}-{size}"),
            (None, Algorithm::SlidingWindow, _) => format!("sliding-{count}-{micros}"),
            (None, Algorithm::FixedWindow, None) => format!("fixed-{count}-{micros}"),
            (None, Algorithm::FixedWindow, Some(phase)) => {
                format!("calendar-{count}-{micros}-{phase}")
            }
        };
        Ok(Self {
            quota,
            algorithm,
            key: key.into(),
            unit: unit as u64,
            size,
            phase: phase.unwrap_or(0),
        })
    }

    /// The allowance that is reported to callers; `None` for a quota without a name.
    pub(crate) fn allowance(&self, left: Left) -> Option<Allowance> {
        let period = self.quota.period();
        Some(Allowance {
            name: self.quota.name()?,
            limit: self.quota.count().into(),
            // Whole seconds, or left out.
            window_secs: if period.subsec_nanos() == 0 {
                period.as_secs()
            } else {
                0
            },
            remaining: left.requests.into(),
            reset: Duration::from_millis(left.reset_millis.into()),
        })
    }
}
