//! What can be set of algorithms, and within which bounds.

use std::{ops::RangeInclusive, time::Duration};

use super::WindowSize;

/// The highest limit there is.
const MAX_LIMIT: u32 = 1 << 30;
const WINDOW_TIME: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(3600);
const WINDOW_SAMPLES: RangeInclusive<u32> = 1..=1 << 20;

/// A setting of an [`Algorithm`](super::Algorithm) is out of bounds.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidAlgorithm {
    /// No room for the limit, or it begins outside of it.
    #[error(
        "limits are {initial} in {min} to {max}, but must be 1 <= min <= initial <= max <= 2^30"
    )]
    Limits {
        /// The first limit.
        initial: u32,
        /// The lowest.
        min: u32,
        /// The highest.
        max: u32,
    },
    /// A window that ends at once, or never.
    #[error("window time is {0:?}, but must be 1 millisecond to 1 hour")]
    WindowTime(Duration),
    /// A window of nothing, or that never fills.
    #[error("window samples are {0}, but must be 1 to 2^20 calls")]
    WindowSamples(u32),
    /// A cut that cuts nothing, or too deep.
    #[error("backoff is {0}, but must be at least 0.5 and less than 1")]
    Backoff(f64),
    /// Every answer is late, or none is.
    #[error("timeout is {0:?}, but must be 1 nanosecond to 1 hour")]
    Timeout(Duration),
    /// The limit never moves, or past its aim.
    #[error("smoothing is {0}, but must be more than 0 and at most 1")]
    Smoothing(f64),
    /// No latency is tolerated, or any.
    #[error("tolerance is {0}, but must be at least 1 and at most 100")]
    Tolerance(f64),
    /// No queue to grow by, or one without end.
    #[error("queue allowance is {0}, but must be 1 to 2^20 requests")]
    QueueAllowance(u32),
    /// No memory, or one that never learns.
    #[error("long window is {0}, but must be 10 to 2^20 windows")]
    LongWindow(u32),
    /// A band of queue lengths without inside.
    #[error("queue band is {alpha} to {beta}, but must be 1 <= alpha <= beta <= 1000")]
    QueueBand {
        /// Below it the limit grows.
        alpha: u32,
        /// Above it the limit falls.
        beta: u32,
    },
    /// An aim that is out of reach, or none.
    #[error("objective is {0:?}, but must be 1 nanosecond to 1 hour")]
    Objective(Duration),
    /// A service that takes no time, or all of it.
    #[error("no-load latency is {0:?}, but must be 1 nanosecond to 1 hour")]
    NoLoadLatency(Duration),
    /// Always measuring, or never.
    #[error("probe multiplier is {0}, but must be 1 to 2^20")]
    Probe(u32),
}

/// Where a limit begins and stays.
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

    /// The same with these bounds, and the initial limit moved into them.
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

/// What is left of a limit.
pub(super) fn checked_backoff(share: f64) -> Result<f64, InvalidAlgorithm> {
    if (0.5..1.0).contains(&share) {
        Ok(share)
    } else {
        Err(InvalidAlgorithm::Backoff(share))
    }
}

/// How much of the way to its aim a limit moves.
pub(super) fn checked_smoothing(share: f64) -> Result<f64, InvalidAlgorithm> {
    if share > 0.0 && share <= 1.0 {
        Ok(share)
    } else {
        Err(InvalidAlgorithm::Smoothing(share))
    }
}
