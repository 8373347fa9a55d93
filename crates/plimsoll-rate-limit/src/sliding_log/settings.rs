//! The settings of a sliding log, and the handle that changes them.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use plimsoll_core::{Allowance, Counter, Epoch, Live};

use super::log::MAX_PERIOD;

/// Limit and period: changed together.
pub(super) type Terms = Live<2, 16>;

/// The longest ring: 8 MiB.
const MAX_LIMIT: u32 = 1 << 20;

/// A sliding log that would admit nobody, or would take too much memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidSlidingLog {
    /// No units, or more than the log has room for.
    #[error("limit is {limit}, but must be 1 to {max} units")]
    Limit {
        /// The limit asked for.
        limit: u32,
        /// The highest there can be.
        max: u32,
    },
    /// No room, or too much.
    #[error("highest limit is {0}, but must be 1 to 2^20 units")]
    MaxLimit(u32),
    /// The period is zero, or longer than 365 days.
    #[error("period is {0:?}, but must be 1 ns to 365 days")]
    Period(Duration),
    /// It cannot stand in a header.
    #[error(
        "name is {0:?}, but must be 1 to 64 printable ASCII characters without quotes and backslashes"
    )]
    Name(&'static str),
}

/// What the cells of one limit share.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) terms: Terms,
    pub(super) max_limit: u32,
    pub(super) name: OnceLock<&'static str>,
    pub(super) epoch: Epoch,
    pub(super) refused: Counter,
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
            refused: Counter::new(),
        })
    }
}

impl Settings {
    /// What a caller is told.
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
            // `w` is whole seconds or nothing.
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

/// Reads and changes a [`SlidingLog`](crate::SlidingLog) while it is in use. Clones share it, and so do the cells of a
/// limit per key.
#[derive(Debug, Clone)]
pub struct SlidingLogHandle(pub(super) Arc<Settings>);

impl SlidingLogHandle {
    /// Units per [`period`](Self::period).
    pub fn limit(&self) -> u32 {
        let (_, [limit]) = self.0.terms.read();
        limit as u32
    }

    /// The stretch of time in which no more than [`limit`](Self::limit) units are let in.
    pub fn period(&self) -> Duration {
        let (_, [_, period]) = self.0.terms.read::<2>();
        Duration::from_nanos(period)
    }

    /// The highest limit that can be set: what the log has room for.
    pub fn max_limit(&self) -> u32 {
        self.0.max_limit
    }

    /// Changes limit and period of all keys, from the next decision on: a decision sees the old pair or the new, never a
    /// mixture.
    ///
    /// What was taken before counts under the new pair as if it had always been in force, as far back as the log goes:
    /// the last [`max_limit`](Self::max_limit) units of each key. So a higher limit is had at once, and under a lower
    /// one nobody is let in until enough has left the window.
    ///
    /// # Errors
    ///
    /// When the limit is 0 or more than [`max_limit`](Self::max_limit), or the period zero or more than 365 days.
    /// Nothing has changed then.
    pub fn set_limit(&self, limit: u32, period: Duration) -> Result<(), InvalidSlidingLog> {
        self.0.terms.set(checked(limit, period, self.0.max_limit)?);
        Ok(())
    }

    /// Requests refused, of all keys together.
    pub fn refused(&self) -> u64 {
        self.0.refused.get()
    }
}
