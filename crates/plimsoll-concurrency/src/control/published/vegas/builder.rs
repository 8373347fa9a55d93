//! The builder of Vegas.

use std::{fmt, ops::RangeInclusive};

use super::{Probe, Vegas};
use crate::control::{
    InvalidLimits, InvalidWindowSize, WindowSize,
    bounds::Bounds,
    published::{
        common::{Common, Form, is_backoff, is_smoothing},
        probing::Probing,
    },
};

/// The settings of a [`Vegas`], checked together by [`build`](Self::build).
///
/// [`Vegas`] has a table of the defaults of both forms.
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use = "a builder does nothing until `build`"]
pub struct VegasBuilder {
    form: Form,
    alpha: u32,
    beta: u32,
    smoothing: f64,
    backoff: Option<f64>,
    probe_multiplier: u32,
}

impl Vegas {
    /// Creates the corrected form.
    pub fn new() -> Self {
        VegasBuilder::new().unchecked()
    }

    /// Creates the published form, with the published defaults.
    pub fn as_published() -> Self {
        VegasBuilder::as_published().unchecked()
    }

    /// Returns a builder of the corrected form; [`VegasBuilder::as_published`] is one of the
    /// published form.
    pub const fn builder() -> VegasBuilder {
        VegasBuilder::new()
    }
}

impl Default for Vegas {
    fn default() -> Self {
        Self::new()
    }
}

impl VegasBuilder {
    /// The corrected form, with its defaults.
    pub const fn new() -> Self {
        Self {
            form: Form::CORRECTED,
            alpha: 3,
            beta: 6,
            smoothing: 1.0,
            backoff: None,
            probe_multiplier: 30,
        }
    }

    /// The published form, with the published defaults.
    pub const fn as_published() -> Self {
        Self {
            form: Form::as_published(1, 1000),
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

    /// Sets the range of queue lengths to keep, in multiples of `lg`:
    /// `1 <= alpha <= beta <= 1000`; the default is 3 to 6.
    pub const fn queue_band(mut self, alpha: u32, beta: u32) -> Self {
        (self.alpha, self.beta) = (alpha, beta);
        self
    }

    /// Sets how far the limit moves towards its target in each window, in `(0, 1]`; the default is
    /// 1, all the way.
    pub const fn smoothing(mut self, share: f64) -> Self {
        self.smoothing = share;
        self
    }

    /// Lowers the limit to this share of itself, in `[0.5, 1)`, in place of the steps of the table.
    pub const fn backoff(mut self, share: f64) -> Self {
        self.backoff = Some(share);
        self
    }

    /// Sets how often the published form probes, 1 to 2^20; the default is 30.
    ///
    /// It probes every 0.5 to 1 times `windows` windows for each request of the limit. The
    /// corrected form ignores it.
    pub const fn probe_multiplier(mut self, windows: u32) -> Self {
        self.probe_multiplier = windows;
        self
    }

    /// Builds the algorithm.
    ///
    /// # Errors
    ///
    /// The first setting that is out of bounds, with the bound.
    pub fn build(self) -> Result<Vegas, InvalidVegas> {
        self.form.limits.checked()?;
        self.form.windows.check()?;
        let Self { alpha, beta, .. } = self;
        if alpha == 0 || alpha > beta || beta > 1000 {
            return Err(InvalidVegas::QueueBand { alpha, beta });
        }
        if !is_smoothing(self.smoothing) {
            return Err(InvalidVegas::Smoothing(self.smoothing));
        }
        if let Some(share) = self.backoff.filter(|&share| !is_backoff(share)) {
            return Err(InvalidVegas::Backoff(share));
        }
        if !(1..=1 << 20).contains(&self.probe_multiplier) {
            return Err(InvalidVegas::ProbeMultiplier(self.probe_multiplier));
        }
        Ok(self.unchecked())
    }

    fn unchecked(self) -> Vegas {
        Vegas {
            common: Common::new(self.form),
            alpha: f64::from(self.alpha),
            beta: f64::from(self.beta),
            smoothing: self.smoothing,
            backoff: self.backoff,
            probe: Probe::new(self.probe_multiplier, fastrand::Rng::new()),
            no_load: 0.0,
            probing: Probing::new(),
        }
    }
}

impl Default for VegasBuilder {
    fn default() -> Self {
        Self::new()
    }
}

/// A setting of a [`Vegas`] is out of bounds.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum InvalidVegas {
    /// The bounds of the limit are invalid, or the initial limit is outside of them.
    Limits(InvalidLimits),
    /// The size of a window is out of bounds.
    Windows(InvalidWindowSize),
    /// The range of queue lengths is invalid.
    QueueBand {
        /// The limit grows below this length.
        alpha: u32,
        /// The limit falls above this length.
        beta: u32,
    },
    /// The smoothing factor is out of bounds.
    Smoothing(f64),
    /// The share that a cut leaves is out of bounds.
    Backoff(f64),
    /// The probe multiplier is 0 or too high.
    ProbeMultiplier(u32),
}

impl fmt::Display for InvalidVegas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limits(error) => error.fmt(f),
            Self::Windows(error) => error.fmt(f),
            Self::QueueBand { alpha, beta } => write!(
                f,
                "queue_band must be 1 <= alpha <= beta <= 1000, got alpha = {alpha}, beta = {beta}"
            ),
            Self::Smoothing(got) => write!(f, "smoothing must be in (0, 1], got {got}"),
            Self::Backoff(got) => write!(f, "backoff must be in [0.5, 1), got {got}"),
            Self::ProbeMultiplier(got) => {
                write!(f, "probe_multiplier must be in 1..=2^20, got {got}")
            }
        }
    }
}

impl std::error::Error for InvalidVegas {}

impl From<InvalidLimits> for InvalidVegas {
    fn from(error: InvalidLimits) -> Self {
        Self::Limits(error)
    }
}

impl From<InvalidWindowSize> for InvalidVegas {
    fn from(error: InvalidWindowSize) -> Self {
        Self::Windows(error)
    }
}
