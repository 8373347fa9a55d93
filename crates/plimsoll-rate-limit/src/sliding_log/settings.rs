//! The settings of a sliding log, and the handle that changes them.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use plimsoll_core::policy::{Allowance, Counter, Epoch, Live};

use crate::bounds::MAX_PERIOD;

/// Limit and period in nanoseconds, changed together.
pub(super) type Terms = Live<2, 16>;

/// The largest limit, in units: a ring of 8 MiB.
const MAX_LIMIT: u32 = 1 << 20;

/// A sliding log with a setting out of bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidSlidingLog {
    /// The limit is 0, or more than the log has room for.
    Limit {
        /// The rejected limit.
        limit: u32,
        /// The largest limit.
        max: u32,
    },
    /// The highest limit is 0 or more than 2^20.
    MaxLimit(u32),
    /// The period is zero, or longer than 365 days.
    Period(Duration),
    /// The name is not valid in a header, or too many names are kept.
    Name(Box<str>),
}

impl fmt::Display for InvalidSlidingLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limit { limit, max } => write!(f, "limit must be 1 to {max} units, got {limit}"),
            Self::MaxLimit(got) => write!(f, "max_limit must be 1 to 2^20 units, got {got}"),
            Self::Period(got) => write!(f, "period must be 1 ns to 365 days, got {got:?}"),
            Self::Name(got) => write!(
                f,
                "name must be 1 to 64 printable ASCII characters without quotes and backslashes, and one of \
         at most 4096 in a process, got {got:?}"
            ),
        }
    }
}

impl std::error::Error for InvalidSlidingLog {}

/// Settings that all cells of one limit share.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) terms: Terms,
    pub(super) max_limit: u32,
    pub(super) name: OnceLock<&'static str>,
    pub(super) epoch: Epoch,
    pub(super) rejected: Counter,
}

impl Settings {
    pub(super) fn new(
        limit: u32,
        period: Duration,
        max_limit: u32,
    ) -> Result<Self, InvalidSlidingLog> {
        if max_limit == 0 || max_limit > MAX_LIMIT {
            return Err(InvalidSlidingLog::MaxLimit(max_limit));
        }
        Ok(Self {
            terms: Live::new(checked(limit, period, max_limit)?),
            max_limit,
            name: OnceLock::new(),
            epoch: Epoch::new(),
            rejected: Counter::new(),
        })
    }
}

impl Settings {
    /// The allowance that is reported to callers.
    pub(super) fn allowance(
        &self,
        name: &'static str,
        remaining: u64,
        reset: Duration,
    ) -> Allowance {
        let (_, [limit, period]) = self.terms.read();
        let period = Duration::from_nanos(period);
        Allowance {
            name,
            limit,
            // `w` is whole seconds, or left out.
            window_secs: match period.subsec_nanos() {
                0 => period.as_secs(),
                _ => 0,
            },
            remaining,
            reset,
        }
    }
}

fn checked(limit: u32, period: Duration, max: u32) -> Result<[u64; 2], InvalidSlidingLog> {
    if limit == 0 || limit > max {
        return Err(InvalidSlidingLog::Limit { limit, max });
    }
    if period.is_zero() || period > MAX_PERIOD {
        return Err(InvalidSlidingLog::Period(period));
    }
    Ok([limit.into(), period.as_nanos() as u64])
}

/// Reads and changes a [`SlidingLog`](crate::SlidingLog) while it is in use.
///
/// Clones share it, and so do the cells of a limit per key.
#[derive(Debug, Clone)]
pub struct SlidingLogHandle(pub(super) Arc<Settings>);

impl SlidingLogHandle {
    /// Units per [`period`](Self::period).
    pub fn limit(&self) -> u32 {
        let (_, [limit]) = self.0.terms.read();
        limit as u32
    }

    /// The period in which at most [`limit`](Self::limit) units are admitted.
    pub fn period(&self) -> Duration {
        let (_, [_, period]) = self.0.terms.read::<2>();
        Duration::from_nanos(period)
    }

    /// The highest limit that can be set: the log has room for this many units.
    pub fn max_limit(&self) -> u32 {
        self.0.max_limit
    }

    /// Changes limit and period of all keys, from the next decision on.
    ///
    /// A decision sees the old pair or the new one, never a mixture. Units taken before count as if
    /// the new pair had always been in force, as far back as the log goes: the last
    /// [`max_limit`](Self::max_limit) units of each key. So a higher limit is available at once;
    /// under a lower one no request is admitted until enough units have left the window.
    ///
    /// # Errors
    ///
    /// When the limit is 0 or more than [`max_limit`](Self::max_limit), or the period is zero or
    /// more than 365 days. Nothing is changed then.
    pub fn set_limit(&self, limit: u32, period: Duration) -> Result<(), InvalidSlidingLog> {
        self.0.terms.set(checked(limit, period, self.0.max_limit)?);
        Ok(())
    }

    /// Requests rejected, of all keys together.
    pub fn rejected(&self) -> u64 {
        self.0.rejected.get()
    }
}
