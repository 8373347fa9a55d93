//! The builder of Gradient2.

use std::{fmt, ops::RangeInclusive};

use super::Gradient2;
use crate::control::{
    InvalidLimits, InvalidWindowSize, WindowSize,
    bounds::Bounds,
    published::{
        average::{Average, WARM_UP},
        common::{Common, Form, is_smoothing},
        probing::Probing,
    },
};

/// The settings of a [`Gradient2`], checked together by [`build`](Self::build).
///
/// [`Gradient2`] has a table of the defaults of both forms.
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use = "a builder does nothing until `build`"]
pub struct Gradient2Builder {
    form: Form,
    smoothing: f64,
    tolerance: f64,
    queue_allowance: u32,
    long_window: u32,
}

impl Gradient2 {
    /// Creates the corrected form.
    pub fn new() -> Self {
        Gradient2Builder::new().unchecked()
    }

    /// Creates the published form, with the published defaults.
    pub fn as_published() -> Self {
        Gradient2Builder::as_published().unchecked()
    }

    /// Returns a builder of the corrected form; [`Gradient2Builder::as_published`] is one of the
    /// published form.
    pub const fn builder() -> Gradient2Builder {
        Gradient2Builder::new()
    }
}

impl Default for Gradient2 {
    fn default() -> Self {
        Self::new()
    }
}

impl Gradient2Builder {
    /// The corrected form, with its defaults.
    pub const fn new() -> Self {
        Self {
            form: Form::CORRECTED,
            smoothing: 0.2,
            tolerance: 1.5,
            queue_allowance: 4,
            long_window: 600,
        }
    }

    /// The published form, with the published defaults.
    pub const fn as_published() -> Self {
        Self {
            form: Form::as_published(20, 200),
            ..Self::new()
        }
    }

    /// Sets the initial limit and its bounds: `1 <= min <= initial <= max <= 2^30`.
    pub fn limits(mut self, initial: u32, within: RangeInclusive<u32>) -> Self {
        self.form.limits = Bounds::new(initial, within);
        self
    }

    /// Sets the least time of a window, 1 millisecond to 1 hour, and its least calls, 1 to 2^20.
    pub const fn windows(mut self, size: WindowSize) -> Self {
        self.form.windows = size;
        self
    }

    /// Sets how far the limit moves towards its target in each window, in `(0, 1]`; the default is
    /// 0.2 of the way.
    pub const fn smoothing(mut self, share: f64) -> Self {
        self.smoothing = share;
        self
    }

    /// Sets how many times its long average latency may be before the limit falls, 1 to 100; the
    /// default is 1.5.
    pub const fn tolerance(mut self, times: f64) -> Self {
        self.tolerance = times;
        self
    }

    /// Sets how many requests may queue, 1 to 2^20, which is also the step of growth; the default
    /// is 4.
    pub const fn queue_allowance(mut self, requests: u32) -> Self {
        self.queue_allowance = requests;
        self
    }

    /// Sets how many windows the long average covers, 10 to 2^20; the default is 600.
    pub const fn long_window(mut self, windows: u32) -> Self {
        self.long_window = windows;
        self
    }

    /// Builds the algorithm.
    ///
    /// # Errors
    ///
    /// The first setting that is out of bounds, with the bound.
    pub fn build(self) -> Result<Gradient2, InvalidGradient2> {
        self.form.limits.checked()?;
        self.form.windows.check()?;
        if !is_smoothing(self.smoothing) {
            return Err(InvalidGradient2::Smoothing(self.smoothing));
        }
        if !(1.0..=100.0).contains(&self.tolerance) {
            return Err(InvalidGradient2::Tolerance(self.tolerance));
        }
        if !(1..=1 << 20).contains(&self.queue_allowance) {
            return Err(InvalidGradient2::QueueAllowance(self.queue_allowance));
        }
        if !(WARM_UP..=1 << 20).contains(&self.long_window) {
            return Err(InvalidGradient2::LongWindow(self.long_window));
        }
        Ok(self.unchecked())
    }

    fn unchecked(self) -> Gradient2 {
        Gradient2 {
            common: Common::new(self.form),
            smoothing: self.smoothing,
            tolerance: self.tolerance,
            allowance: f64::from(self.queue_allowance),
            long: Average::over(self.long_window),
            probing: Probing::new(),
        }
    }
}

impl Default for Gradient2Builder {
    fn default() -> Self {
        Self::new()
    }
}

/// A setting of a [`Gradient2`] is out of bounds.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum InvalidGradient2 {
    /// The bounds of the limit are invalid, or the initial limit is outside of them.
    Limits(InvalidLimits),
    /// The size of a window is out of bounds.
    Windows(InvalidWindowSize),
    /// The smoothing factor is out of bounds.
    Smoothing(f64),
    /// The tolerated increase of latency is out of bounds.
    Tolerance(f64),
    /// The queue allowance is 0 or too high.
    QueueAllowance(u32),
    /// The long average covers too few or too many windows.
    LongWindow(u32),
}

impl fmt::Display for InvalidGradient2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limits(error) => error.fmt(f),
            Self::Windows(error) => error.fmt(f),
            Self::Smoothing(got) => write!(f, "smoothing must be in (0, 1], got {got}"),
            Self::Tolerance(got) => write!(f, "tolerance must be in [1, 100], got {got}"),
            Self::QueueAllowance(got) => {
                write!(f, "queue_allowance must be in 1..=2^20, got {got}")
            }
            Self::LongWindow(got) => write!(f, "long_window must be in 10..=2^20, got {got}"),
        }
    }
}

impl std::error::Error for InvalidGradient2 {}

impl From<InvalidLimits> for InvalidGradient2 {
    fn from(error: InvalidLimits) -> Self {
        Self::Limits(error)
    }
}

impl From<InvalidWindowSize> for InvalidGradient2 {
    fn from(error: InvalidWindowSize) -> Self {
        Self::Windows(error)
    }
}
