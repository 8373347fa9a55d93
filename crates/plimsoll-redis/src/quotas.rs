//! The quotas of one limit, as the scripts read them.

use std::time::Duration;

use plimsoll_core::Allowance;
use plimsoll_rate_limit::Quota;

use crate::{Algorithm, InvalidRedisRateLimit};

/// Quotas that one limit may have: each is a key in Redis, and a place in every permit.
pub const MAX_QUOTAS: usize = 4;
/// What doubles, and so Lua, count exactly.
const EXACT: u128 = 1 << 53;

/// One quota, its name and its two numbers for the scripts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Named {
    pub(crate) name: &'static str,
    pub(crate) algorithm: Algorithm,
    pub(crate) quota: Quota,
    /// Microseconds: the increment of a bucket, the period of a window.
    pub(crate) unit: u64,
    /// Requests: the burst of a bucket, the count of a window.
    pub(crate) size: u32,
}

/// What is left of one quota after a decision. Plain data, and small: permits carry it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) requests: u32,
    /// Rounded up; 49 days at most.
    pub(crate) reset_millis: u32,
}

impl Named {
    pub(crate) fn new(
        name: &'static str,
        algorithm: Algorithm,
        quota: Quota,
    ) -> Result<Self, InvalidRedisRateLimit> {
        // The local crate's check: counts, bounds and periods.
        plimsoll_rate_limit::RateLimit::new(quota)?;
        if !Allowance::is_name(name) || name.contains(['{', '}']) {
            return Err(InvalidRedisRateLimit::Name(name));
        }
        let period = quota.period();
        let micros = period.as_micros();
        if micros == 0 || !period.subsec_nanos().is_multiple_of(1000) {
            return Err(InvalidRedisRateLimit::Period { name, period });
        }
        let (unit, size) = match algorithm {
            Algorithm::Gcra => {
                if u128::from(quota.count()) > micros {
                    return Err(InvalidRedisRateLimit::Rate { name });
                }
                // Rounded up: never more than the quota.
                (micros.div_ceil(quota.count().into()), quota.max_burst())
            }
            Algorithm::SlidingWindow | Algorithm::FixedWindow => (micros, quota.count()),
        };
        // Now and one whole quota must be sums that Lua gets right.
        let windows = matches!(algorithm, Algorithm::SlidingWindow);
        if unit * u128::from(size) > EXACT / 2 && (windows || matches!(algorithm, Algorithm::Gcra))
        {
            return Err(InvalidRedisRateLimit::TooFine { name });
        }
        Ok(Self {
            name,
            algorithm,
            quota,
            unit: unit as u64,
            size,
        })
    }

    pub(crate) fn allowance(&self, left: Left) -> Allowance {
        let period = self.quota.period();
        Allowance {
            name: self.name,
            limit: self.quota.count().into(),
            // Whole seconds or nothing.
            window_secs: if period.subsec_nanos() == 0 {
                period.as_secs()
            } else {
                0
            },
            remaining: left.requests.into(),
            reset: Duration::from_millis(left.reset_millis.into()),
        }
    }
}
