//! Additive increase, multiplicative decrease.

use std::{ops::RangeInclusive, time::Duration};

use super::common::{Common, many_dropped};
use crate::control::{
    Algorithm, Change, InvalidAlgorithm, LimitReason, Window, WindowSize, error::checked_backoff,
};

/// Additive increase, multiplicative decrease: one more after each window that went well, a tenth less after one that did not.
///
/// It sees drops and a stated timeout, and nothing else: it finds the line by crossing it. For services that say themselves
/// when they are overloaded, or whose callers give up.
///
/// From Netflix's concurrency-limits (`AIMDLimit`), after Chiu and Jain, 1989.
///
/// # The two forms
///
/// | | [`as_published`](Self::as_published) | [`new`](Self::new) |
/// |---|---|---|
/// | a bad window | any drop | more than 2 calls in 100 dropped |
/// | and, in both, | mean latency above the timeout, 5 s | the same |
/// | a cut | to the whole number below 0.9 of the limit: at 2 by half | to 0.9, fractions kept |
/// | begins | 20, by one a window | 20, doubling until the first bad window |
/// | limits | 20 to 200 | 1 to 2^20 |
/// | window | 1 s, 10 calls | twice a call's latency, 100 ms to 1 s, 10 calls |
///
/// Why: one caller that leaves in each window brings the original to its floor, whatever the load; it cannot follow a service of fewer
/// than 20 slots or more than 200; and from 20 to 1,000 it would take a quarter of an hour.
///
/// In both a limit of which less than half was in flight does not grow.
#[derive(Debug)]
pub struct Aimd {
    common: Common,
    backoff: f64,
    timeout: Duration,
    /// No bad window yet.
    starting: bool,
}

impl Aimd {
    /// The corrected form.
    pub fn new() -> Self {
        Self {
            common: Common::corrected(),
            backoff: 0.9,
            timeout: Duration::from_secs(5),
            starting: true,
        }
    }

    /// As published, with the published defaults.
    pub fn as_published() -> Self {
        Self {
            common: Common::as_published(20, 200),
            starting: false,
            ..Self::new()
        }
    }

    /// The first limit, and where it stays.
    ///
    /// # Errors
    ///
    /// Unless 1 <= lowest <= `initial` <= highest <= 2^30.
    pub fn limits(
        mut self,
        initial: u32,
        within: RangeInclusive<u32>,
    ) -> Result<Self, InvalidAlgorithm> {
        self.common.set_limits(initial, within)?;
        Ok(self)
    }

    /// How much a window holds, at least.
    ///
    /// # Errors
    ///
    /// When its time is less than 1 millisecond or more than 1 hour, or its samples are 0 or more than 2^20.
    pub fn windows(mut self, size: WindowSize) -> Result<Self, InvalidAlgorithm> {
        self.common.set_windows(size)?;
        Ok(self)
    }

    /// What is left of the limit after a bad window: 0.9 of it, by default.
    ///
    /// # Errors
    ///
    /// When it is less than 0.5, or 1 or more.
    pub fn backoff(mut self, share: f64) -> Result<Self, InvalidAlgorithm> {
        self.backoff = checked_backoff(share)?;
        Ok(self)
    }

    /// A window whose mean latency is above this is bad: 5 seconds, by default.
    ///
    /// # Errors
    ///
    /// When it is zero or more than 1 hour.
    pub fn timeout(mut self, timeout: Duration) -> Result<Self, InvalidAlgorithm> {
        if timeout.is_zero() || timeout > Duration::from_secs(3600) {
            return Err(InvalidAlgorithm::Timeout(timeout));
        }
        self.timeout = timeout;
        Ok(self)
    }

    /// The limit before it is rounded.
    pub fn estimate(&self) -> f64 {
        self.common.limit
    }

    fn next(&self, window: &Window) -> (f64, LimitReason) {
        let Common {
            as_published,
            limit,
            ..
        } = self.common;
        let dropped = if as_published {
            window.dropped > 0
        } else {
            many_dropped(window)
        };
        if dropped || window.latency > self.timeout {
            let cut = limit * self.backoff;
            let reason = if dropped {
                LimitReason::Drops
            } else {
                LimitReason::Latency
            };
            return (if as_published { cut.trunc() } else { cut }, reason);
        }
        if !self.common.used(window) {
            return (limit, LimitReason::Idle);
        }
        let more = if self.starting { limit } else { 1.0 };
        (limit + more, LimitReason::Growth)
    }
}

impl Default for Aimd {
    fn default() -> Self {
        Self::new()
    }
}

impl Algorithm for Aimd {
    fn initial(&self) -> u32 {
        self.common.initial()
    }

    fn window(&self) -> WindowSize {
        self.common.window()
    }

    fn bounds(&self) -> RangeInclusive<u32> {
        self.common.bounds()
    }

    fn set_bounds(&mut self, within: RangeInclusive<u32>) -> Result<(), InvalidAlgorithm> {
        self.common.set_bounds(within)
    }

    fn update(&mut self, window: &Window) -> Change {
        let (next, reason) = self.next(window);
        self.starting &= !matches!(reason, LimitReason::Drops | LimitReason::Latency);
        self.common.saw(window);
        self.common.set(next, reason)
    }
}
