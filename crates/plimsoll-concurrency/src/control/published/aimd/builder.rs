//! The builder of Aimd.

use std::{fmt, ops::RangeInclusive, time::Duration};

use super::Aimd;
use crate::control::{
    InvalidLimits, InvalidWindowSize, WindowSize,
    bounds::Bounds,
    published::common::{Common, Form, is_backoff},
};

/// The longest timeout: 1 hour. No caller waits longer.
const MAX_TIMEOUT: Duration = Duration::from_secs(3600);

/// The settings of an [`Aimd`], checked together by [`build`](Self::build).
///
/// [`Aimd`] has a table of the defaults of both forms.
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use = "a builder does nothing until `build`"]
pub struct AimdBuilder {
    form: Form,
    backoff: f64,
    timeout: Duration,
}

impl Aimd {
    /// Creates the corrected form.
    pub fn new() -> Self {
        AimdBuilder::new().unchecked()
    }

    /// Creates the published form, with the published defaults.
    pub fn as_published() -> Self {
        AimdBuilder::as_published().unchecked()
    }

    /// Returns a builder of the corrected form; [`AimdBuilder::as_published`] is one of the
    /// published form.
    pub const fn builder() -> AimdBuilder {
        AimdBuilder::new()
    }
}

impl Default for Aimd {
    fn default() -> Self {
        Self::new()
    }
}

impl AimdBuilder {
    /// The corrected form, with its defaults.
    pub const fn new() -> Self {
        Self {
            form: Form::CORRECTED,
            backoff: 0.9,
            timeout: Duration::from_secs(5),
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

    /// Sets the share of the limit that a bad window leaves, in `[0.5, 1)`; the default is 0.9.
    pub const fn backoff(mut self, share: f64) -> Self {
        self.backoff = share;
        self
    }

    /// Sets the mean latency above which a window is bad, above 0 and at most 1 hour; the default
    /// is 5 seconds.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Builds the algorithm.
    ///
    /// # Errors
    ///
    /// The first setting that is out of bounds, with the bound.
    pub fn build(self) -> Result<Aimd, InvalidAimd> {
        self.form.limits.checked()?;
        self.form.windows.check()?;
        if !is_backoff(self.backoff) {
            return Err(InvalidAimd::Backoff(self.backoff));
        }
        if self.timeout.is_zero() || self.timeout > MAX_TIMEOUT {
            return Err(InvalidAimd::Timeout(self.timeout));
        }
        Ok(self.unchecked())
    }

    fn unchecked(self) -> Aimd {
        let common = Common::new(self.form);
        Aimd {
            doubling: !common.as_published,
            common,
            backoff: self.backoff,
            timeout: self.timeout,
        }
    }
}

impl Default for AimdBuilder {
    fn default() -> Self {
        Self::new()
    }
}

/// A setting of an [`Aimd`] is out of bounds.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum InvalidAimd {
    /// The bounds of the limit are invalid, or the initial limit is outside of them.
    Limits(InvalidLimits),
    /// The size of a window is out of bounds.
    Windows(InvalidWindowSize),
    /// The share that a cut leaves is out of bounds.
    Backoff(f64),
    /// The timeout is zero or too long.
    Timeout(Duration),
}

impl fmt::Display for InvalidAimd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limits(error) => error.fmt(f),
            Self::Windows(error) => error.fmt(f),
            Self::Backoff(got) => write!(f, "backoff must be in [0.5, 1), got {got}"),
            Self::Timeout(got) => write!(f, "timeout must be 1 nanosecond to 1 hour, got {got:?}"),
        }
    }
}

impl std::error::Error for InvalidAimd {}

impl From<InvalidLimits> for InvalidAimd {
    fn from(error: InvalidLimits) -> Self {
        Self::Limits(error)
    }
}

impl From<InvalidWindowSize> for InvalidAimd {
    fn from(error: InvalidWindowSize) -> Self {
        Self::Windows(error)
    }
}
