//! Additive increase, multiplicative decrease.

mod builder;

use std::{ops::RangeInclusive, time::Duration};

use super::common::{Common, many_dropped};
use crate::control::{Algorithm, Change, InvalidLimits, LimitReason, Window, WindowSize};

pub use self::builder::{AimdBuilder, InvalidAimd};

/// Additive increase, multiplicative decrease: plus one after a good window, minus a tenth after a
/// bad one.
///
/// Its only signals are drops and a timeout, so it finds the capacity by exceeding it. It is for
/// services that signal overload themselves, or whose callers time out.
///
/// From Netflix's concurrency-limits (`AIMDLimit`), after Chiu and Jain, 1989.
///
/// # The two forms
///
/// | | [`as_published`](Self::as_published) | [`new`](Self::new) |
/// |---|---|---|
/// | a bad window | any drop | more than 2 calls in 100 dropped |
/// | and, in both, | mean latency above the timeout, 5 s | the same |
/// | a cut | to the integer below 0.9 of the limit: at 2 by half | to 0.9, fractions kept |
/// | starts | at 20, plus one per window | at 20, doubling until the first bad window |
/// | limits | 20 to 200 | 1 to 2^20 |
/// | window | 1 s, 10 calls | twice a call's latency, 100 ms to 1 s, 10 calls |
///
/// Reasons for the corrections: one caller that cancels in each window keeps the published form at
/// its lower bound, whatever the load; it cannot follow a service of fewer than 20 slots or more
/// than 200; and from 20 to 1,000 it would take a quarter of an hour.
///
/// In both forms the limit does not grow when less than half of it was in flight.
#[doc(alias("additive increase", "adaptive concurrency"))]
#[derive(Debug)]
pub struct Aimd {
    common: Common,
    backoff: f64,
    timeout: Duration,
    /// Whether no window was bad yet.
    doubling: bool,
}

impl Aimd {
    /// Returns the limit before rounding.
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
        let more = if self.doubling { limit } else { 1.0 };
        (limit + more, LimitReason::Growth)
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

    fn set_bounds(&mut self, within: RangeInclusive<u32>) -> Result<(), InvalidLimits> {
        self.common.set_bounds(within)
    }

    fn update(&mut self, window: &Window) -> Change {
        let (next, reason) = self.next(window);
        self.doubling &= !matches!(reason, LimitReason::Drops | LimitReason::Latency);
        self.common.observe(window);
        self.common.set(next, reason)
    }
}
