//! The builder of a rate limit, for settings that come from a file.

use std::fmt;

use crate::{InvalidQuota, InvalidWarmUp, Quota, RateLimit, WarmUp};

/// The settings of a [`RateLimit`], checked together by [`build`](Self::build).
///
/// With the feature `serde` it can be read from a configuration file. The quota is a
/// [text](Quota#impl-FromStr-for-Quota), the warm-up is optional:
///
/// ```toml
/// quota = "100/s burst 20 named per-client"
/// warm_up = { cold = 3, over = "30s", idle = "1m" }
/// ```
///
/// ```
/// use plimsoll_rate_limit::RateLimit;
///
/// let limit = RateLimit::builder("100/s burst 20".parse()?).build()?;
/// assert_eq!(limit.handle().quota().max_burst(), 20);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields)
)]
#[must_use = "a builder does nothing until `build`"]
pub struct RateLimitBuilder {
    quota: Quota,
    #[cfg_attr(
        feature = "serde",
        serde(default, skip_serializing_if = "Option::is_none")
    )]
    warm_up: Option<WarmUp>,
}

/// A rate limit with a setting out of bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidRateLimit {
    /// The quota is invalid.
    Quota(InvalidQuota),
    /// The warm-up is invalid.
    WarmUp(InvalidWarmUp),
}

impl fmt::Display for InvalidRateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quota(error) => error.fmt(f),
            Self::WarmUp(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for InvalidRateLimit {}

impl From<InvalidQuota> for InvalidRateLimit {
    fn from(error: InvalidQuota) -> Self {
        Self::Quota(error)
    }
}

impl From<InvalidWarmUp> for InvalidRateLimit {
    fn from(error: InvalidWarmUp) -> Self {
        Self::WarmUp(error)
    }
}

impl RateLimit {
    /// Returns a builder, for settings that come from a file.
    pub const fn builder(quota: Quota) -> RateLimitBuilder {
        RateLimitBuilder {
            quota,
            warm_up: None,
        }
    }
}

impl RateLimitBuilder {
    /// Makes the rate rise after an idle time; see [`RateLimit::warm_up`].
    pub const fn warm_up(mut self, warm_up: WarmUp) -> Self {
        self.warm_up = Some(warm_up);
        self
    }

    /// Builds the limit, with a full quota.
    ///
    /// # Errors
    ///
    /// The first setting that is out of bounds, with the bound.
    pub fn build(self) -> Result<RateLimit, InvalidRateLimit> {
        let limit = RateLimit::new(self.quota)?;
        match self.warm_up {
            Some(warm_up) => Ok(limit.warm_up(warm_up)?),
            None => Ok(limit),
        }
    }
}
