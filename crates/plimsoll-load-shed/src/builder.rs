//! The builder of a load shed, for settings that come from a file.

use std::time::Duration;

use plimsoll_core::{LoadSignal, support::DEFAULT_HINT};

use crate::{InvalidLoadShed, LoadShed, threshold::Ramp};

/// The settings of a [`LoadShed`], checked together by [`build`](Self::build).
///
/// With the feature `serde` it can be read from a configuration file. All fields are optional:
///
/// ```toml
/// start = 0.8
/// full = 1.0
/// retry_after = "1s"
/// announce_threshold = false
/// ```
///
/// ```
/// use plimsoll_load_shed::LoadShed;
///
/// let in_flight_over_limit = || 0.0;
/// let shed = LoadShed::builder().between(0.7, 1.2).build(in_flight_over_limit)?;
/// # _ = shed;
/// # Ok::<_, plimsoll_load_shed::InvalidLoadShed>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
#[must_use = "a builder does nothing until `build`"]
pub struct LoadShedBuilder {
    start: f64,
    full: f64,
    #[cfg_attr(
        feature = "serde",
        serde(with = "plimsoll_core::support::serde_text::duration")
    )]
    retry_after: Duration,
    announce_threshold: bool,
}

impl LoadShed<()> {
    /// Returns a builder, for settings that come from a file.
    pub const fn builder() -> LoadShedBuilder {
        LoadShedBuilder::new()
    }
}

impl LoadShedBuilder {
    /// The defaults: 0.8 to 1, and a retry hint of 1 second.
    pub const fn new() -> Self {
        Self {
            start: Ramp::DEFAULT_START,
            full: Ramp::DEFAULT_FULL,
            retry_after: DEFAULT_HINT,
            announce_threshold: false,
        }
    }

    /// Sets the loads between which requests are shed; see [`LoadShed::between`].
    pub const fn between(mut self, start: f64, full: f64) -> Self {
        (self.start, self.full) = (start, full);
        self
    }

    /// Sets the retry hint of rejections; see [`LoadShed::retry_after`].
    pub const fn retry_after(mut self, hint: Duration) -> Self {
        self.retry_after = hint;
        self
    }

    /// Announces the threshold on every answer; see [`LoadShed::announce_threshold`].
    pub const fn announce_threshold(mut self) -> Self {
        self.announce_threshold = true;
        self
    }

    /// Builds the policy, which sheds by this signal.
    ///
    /// # Errors
    ///
    /// The first setting that is out of bounds, with the bound.
    pub fn build<L: LoadSignal>(self, signal: L) -> Result<LoadShed<L>, InvalidLoadShed> {
        let shed = LoadShed::new(signal)
            .between(self.start, self.full)?
            .retry_after(self.retry_after)?;
        Ok(if self.announce_threshold {
            shed.announce_threshold()
        } else {
            shed
        })
    }
}

impl Default for LoadShedBuilder {
    fn default() -> Self {
        Self::new()
    }
}
