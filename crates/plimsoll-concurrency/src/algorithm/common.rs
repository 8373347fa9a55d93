//! What the published algorithms have in common: a form, a limit within bounds, and how windows are read.

use std::{ops::RangeInclusive, time::Duration};

use super::{
    Because, Change, InvalidAlgorithm, Window, WindowSize,
    bounds::{Bounds, checked_window},
};

/// Where all of them begin.
const INITIAL: u32 = 20;
/// Calls in a window.
const SAMPLES: u32 = 10;

/// The part of an algorithm that is the same in all of them.
#[derive(Debug)]
pub(super) struct Common {
    /// As published, rather than mended.
    pub(super) faithful: bool,
    /// Before it is rounded.
    pub(super) limit: f64,
    bounds: Bounds,
    size: WindowSize,
    /// Of the last window.
    latency: Duration,
}

impl Common {
    /// Of the mended forms.
    pub(super) fn mended() -> Self {
        Self::new(false, 1, 1 << 20, Duration::from_millis(100))
    }

    /// Of the faithful forms, whose limits are from `min` to `max`.
    pub(super) fn faithful(min: u32, max: u32) -> Self {
        Self::new(true, min, max, Duration::from_secs(1))
    }

    fn new(faithful: bool, min: u32, max: u32, time: Duration) -> Self {
        Self {
            faithful,
            limit: f64::from(INITIAL),
            bounds: Bounds {
                initial: INITIAL,
                min,
                max,
            },
            size: WindowSize {
                time,
                samples: SAMPLES,
            },
            latency: Duration::ZERO,
        }
    }

    pub(super) fn set_limits(
        &mut self,
        initial: u32,
        within: RangeInclusive<u32>,
    ) -> Result<(), InvalidAlgorithm> {
        self.bounds = Bounds::new(initial, within)?;
        self.limit = f64::from(initial);
        Ok(())
    }

    pub(super) fn set_windows(&mut self, size: WindowSize) -> Result<(), InvalidAlgorithm> {
        self.size = checked_window(size)?;
        Ok(())
    }

    pub(super) fn initial(&self) -> u32 {
        self.bounds.initial
    }

    /// In the mended forms as long as two calls, so that those who end in it began under the limit it is about; up to
    /// ten times what was set.
    pub(super) fn window(&self) -> WindowSize {
        let WindowSize { time, samples } = self.size;
        let time = if self.faithful {
            time
        } else {
            (2 * self.latency).clamp(time, 10 * time)
        };
        WindowSize { time, samples }
    }

    /// A window has ended: its latency, in nanoseconds and at least one.
    pub(super) fn saw(&mut self, window: &Window) -> f64 {
        self.latency = window.latency;
        (window.latency.as_nanos() as f64).max(1.0)
    }

    /// Whether the limit was used, at least by half: otherwise nothing is known of a higher one.
    pub(super) fn used(&self, window: &Window) -> bool {
        2.0 * f64::from(window.in_flight) >= self.limit
    }

    pub(super) fn clamp(&self, limit: f64) -> f64 {
        self.bounds.clamp(limit)
    }

    /// This is the limit from now on.
    pub(super) fn set(&mut self, limit: f64, because: Because) -> Change {
        self.limit = self.clamp(limit);
        self.hold(self.limit, because)
    }

    /// The limit for one window, as a whole number, rounded down.
    pub(super) fn hold(&self, limit: f64, because: Because) -> Change {
        Change {
            at_rest: false,
            no_load_latency: None,
            queue: None,
            limit: self.clamp(limit) as u32,
            because,
        }
    }
}

/// Whether more than 2 in 100 calls were dropped: callers that leave are part of every day.
pub(super) fn many_dropped(window: &Window) -> bool {
    window.dropped.saturating_mul(50) > window.answered.saturating_add(window.dropped)
}
