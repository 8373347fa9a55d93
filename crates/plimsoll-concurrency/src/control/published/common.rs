//! What the published algorithms share: a form, a limit within bounds, and how windows are read.

use std::{ops::RangeInclusive, time::Duration};

use crate::control::{Change, InvalidLimits, LimitReason, Window, WindowSize, bounds::Bounds};

/// The initial limit, as published.
const INITIAL: u32 = 20;
/// The least number of calls in a window, as published.
const SAMPLES: u32 = 10;

/// The settings that all published algorithms have.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Form {
    /// Whether the form is the published one, rather than the corrected one.
    as_published: bool,
    pub(super) limits: Bounds,
    pub(super) windows: WindowSize,
}

impl Form {
    /// For the corrected forms.
    pub(super) const CORRECTED: Self = Self::new(false, 1, 1 << 20, Duration::from_millis(100));

    /// For the published forms, with limits from `min` to `max`.
    pub(super) const fn as_published(min: u32, max: u32) -> Self {
        Self::new(true, min, max, Duration::from_secs(1))
    }

    const fn new(as_published: bool, min: u32, max: u32, time: Duration) -> Self {
        Self {
            as_published,
            limits: Bounds {
                initial: INITIAL,
                min,
                max,
            },
            windows: WindowSize {
                time,
                samples: SAMPLES,
            },
        }
    }
}

/// The state and settings that all published algorithms have.
#[derive(Debug)]
pub(super) struct Common {
    /// Whether the form is the published one, rather than the corrected one.
    pub(super) as_published: bool,
    /// The limit before rounding.
    pub(super) limit: f64,
    bounds: Bounds,
    size: WindowSize,
    /// The latency of the last window.
    latency: Duration,
}

impl Common {
    pub(super) fn new(form: Form) -> Self {
        Self {
            as_published: form.as_published,
            limit: f64::from(form.limits.initial),
            bounds: form.limits,
            size: form.windows,
            latency: Duration::ZERO,
        }
    }

    pub(super) fn bounds(&self) -> RangeInclusive<u32> {
        self.bounds.range()
    }

    pub(super) fn set_bounds(&mut self, within: RangeInclusive<u32>) -> Result<(), InvalidLimits> {
        self.bounds = self.bounds.moved(within)?;
        self.limit = self.clamp(self.limit);
        Ok(())
    }

    pub(super) fn initial(&self) -> u32 {
        self.bounds.initial
    }

    /// Returns the size of the next window. In the corrected forms it is as long as two calls, so
    /// that calls that end in it also started under its limit; at most ten times the set time.
    pub(super) fn window(&self) -> WindowSize {
        let WindowSize { time, samples } = self.size;
        let time = if self.as_published {
            time
        } else {
            (2 * self.latency).clamp(time, 10 * time)
        };
        WindowSize { time, samples }
    }

    /// Takes in a window. Returns its latency in nanoseconds, at least one.
    pub(super) fn observe(&mut self, window: &Window) -> f64 {
        self.latency = window.latency;
        (window.latency.as_nanos() as f64).max(1.0)
    }

    /// Whether at least half of the limit was in flight. With less, the window says nothing about a
    /// higher limit.
    pub(super) fn used(&self, window: &Window) -> bool {
        2.0 * f64::from(window.max_in_flight) >= self.limit
    }

    pub(super) fn clamp(&self, limit: f64) -> f64 {
        self.bounds.clamp(limit)
    }

    /// Sets the limit from now on.
    pub(super) fn set(&mut self, limit: f64, reason: LimitReason) -> Change {
        self.limit = self.clamp(limit);
        self.hold(self.limit, reason)
    }

    /// Returns a change to this limit for one window, rounded down to an integer.
    pub(super) fn hold(&self, limit: f64, reason: LimitReason) -> Change {
        Change {
            at_no_load: false,
            no_load_latency: None,
            queue: None,
            limit: self.clamp(limit) as u32,
            reason,
        }
    }
}

/// Whether more than 2 in 100 calls were dropped; a few cancelled calls are normal.
pub(super) fn many_dropped(window: &Window) -> bool {
    window.dropped.saturating_mul(50) > window.answered.saturating_add(window.dropped)
}

/// Whether this can be the share that a cut leaves of a limit.
pub(super) fn is_backoff(share: f64) -> bool {
    (0.5..1.0).contains(&share)
}

/// Whether this can be the part of the way to its target that a limit moves in a window.
pub(super) fn is_smoothing(share: f64) -> bool {
    share > 0.0 && share <= 1.0
}
