//! Errors of algorithm settings, and their bounds.

use std::{ops::RangeInclusive, time::Duration};

use super::window_size::WindowSize;

/// The highest limit, in requests; the same as that of a fixed limit.
const MAX_LIMIT: u32 = 1 << 30;
/// The time of a window.
const WINDOW_TIME: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(3600);
/// The calls of a window.
const WINDOW_SAMPLES: RangeInclusive<u32> = 1..=1 << 20;

/// A setting of an [`Algorithm`](super::Algorithm) is invalid.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidAlgorithm {
    /// The bounds of the limit are invalid, or the initial limit is outside of them.
    #[error(
        "limits must be 1 <= min <= initial <= max <= 2^30, got initial = {initial}, min = {min}, max = {max}"
    )]
    Limits {
        /// The initial limit.
        initial: u32,
        /// The lower bound.
        min: u32,
        /// The upper bound.
        max: u32,
    },
    /// The time of a window is out of bounds.
    #[error("window time must be 1 millisecond to 1 hour, got {0:?}")]
    WindowTime(Duration),
    /// The calls of a window are 0 or too many.
    #[error("window samples must be in 1..=2^20, got {0}")]
    WindowSamples(u32),
    /// The share that a cut leaves is out of bounds.
    #[error("backoff must be in [0.5, 1), got {0}")]
    Backoff(f64),
    /// The timeout is zero or too long.
    #[error("timeout must be 1 nanosecond to 1 hour, got {0:?}")]
    Timeout(Duration),
    /// The smoothing factor is out of bounds.
    #[error("smoothing must be in (0, 1], got {0}")]
    Smoothing(f64),
    /// The tolerated increase of latency is out of bounds.
    #[error("tolerance must be in [1, 100], got {0}")]
    Tolerance(f64),
    /// The queue allowance is 0 or too high.
    #[error("queue_allowance must be in 1..=2^20, got {0}")]
    QueueAllowance(u32),
    /// The long average covers too few or too many windows.
    #[error("long_window must be in 10..=2^20, got {0}")]
    LongWindow(u32),
    /// The range of queue lengths is invalid.
    #[error("queue_band must be 1 <= alpha <= beta <= 1000, got alpha = {alpha}, beta = {beta}")]
    QueueBand {
        /// The limit grows below this length.
        alpha: u32,
        /// The limit falls above this length.
        beta: u32,
    },
    /// The latency objective is zero or too long.
    #[error("objective must be 1 nanosecond to 1 hour, got {0:?}")]
    Objective(Duration),
    /// The no-load latency is zero or too long.
    #[error("no_load_latency must be 1 nanosecond to 1 hour, got {0:?}")]
    NoLoadLatency(Duration),
    /// The probe multiplier is 0 or too high.
    #[error("probe_multiplier must be in 1..=2^20, got {0}")]
    Probe(u32),
}

/// The initial limit and its bounds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) initial: u32,
    pub(super) min: u32,
    pub(super) max: u32,
}

impl Bounds {
    pub(super) fn new(initial: u32, within: RangeInclusive<u32>) -> Result<Self, InvalidAlgorithm> {
        let (min, max) = within.into_inner();
        if min == 0 || min > initial || initial > max || max > MAX_LIMIT {
            return Err(InvalidAlgorithm::Limits { initial, min, max });
        }
        Ok(Self { initial, min, max })
    }

    pub(super) fn range(self) -> RangeInclusive<u32> {
        self.min..=self.max
    }

    /// Returns these bounds with the range replaced and the initial limit moved into it.
    pub(super) fn moved(self, within: RangeInclusive<u32>) -> Result<Self, InvalidAlgorithm> {
        let (min, max) = within.into_inner();
        let initial = self.initial.max(min).min(max);
        Self::new(initial, min..=max)
    }

    pub(super) fn clamp(self, limit: f64) -> f64 {
        limit.clamp(f64::from(self.min), f64::from(self.max))
    }
}

pub(super) fn checked_window(size: WindowSize) -> Result<WindowSize, InvalidAlgorithm> {
    if !WINDOW_TIME.contains(&size.time) {
        return Err(InvalidAlgorithm::WindowTime(size.time));
    }
    if !WINDOW_SAMPLES.contains(&size.samples) {
        return Err(InvalidAlgorithm::WindowSamples(size.samples));
    }
    Ok(size)
}

/// Checks the share that a cut leaves of a limit.
pub(super) fn checked_backoff(share: f64) -> Result<f64, InvalidAlgorithm> {
    if (0.5..1.0).contains(&share) {
        Ok(share)
    } else {
        Err(InvalidAlgorithm::Backoff(share))
    }
}

/// Checks how far a limit moves towards its target.
pub(super) fn checked_smoothing(share: f64) -> Result<f64, InvalidAlgorithm> {
    if share > 0.0 && share <= 1.0 {
        Ok(share)
    } else {
        Err(InvalidAlgorithm::Smoothing(share))
    }
}
