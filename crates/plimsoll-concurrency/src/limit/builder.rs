//! The builder of a concurrency limit, for settings that come from a file.

use std::time::Duration;

use super::{
    concurrency::ConcurrencyLimit, error::InvalidConcurrencyLimit, limit_text::Limit,
    settings::DEFAULT_MAX_STALL,
};
use crate::Order;

/// The settings of a [`ConcurrencyLimit`], checked together by [`build`](Self::build).
///
/// With the feature `serde` it can be read from a configuration file. Fields have the names of the
/// methods, all but `limit` are optional, and durations are texts such as `50ms`:
///
/// ```toml
/// limit = "adaptive 8..=512"                      # or 64, or "adaptive"
/// queue = { len = 128, max_wait = "50ms" }
/// order = "adaptive-lifo"                         # or "fifo", "lifo"
/// controlled_delay = { target = "5ms", interval = "100ms" }
/// max_stall = "off"                               # or "10s"
/// ```
///
/// ```
/// use std::time::Duration;
/// use plimsoll_concurrency::{ConcurrencyLimit, Limit};
///
/// let limit = ConcurrencyLimit::builder(Limit::Adaptive(Some(8..=512)))
///     .queue(128, Duration::from_millis(50))
///     .build()?;
/// assert_eq!(limit.handle().bounds(), Some(8..=512));
/// # Ok::<_, plimsoll_concurrency::InvalidConcurrencyLimit>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields)
)]
#[must_use = "a builder does nothing until `build`"]
pub struct ConcurrencyLimitBuilder {
    limit: Limit,
    #[cfg_attr(
        feature = "serde",
        serde(default, skip_serializing_if = "Option::is_none")
    )]
    queue: Option<Queue>,
    #[cfg_attr(feature = "serde", serde(default))]
    order: Order,
    #[cfg_attr(
        feature = "serde",
        serde(default, skip_serializing_if = "Option::is_none")
    )]
    controlled_delay: Option<ControlledDelay>,
    #[cfg_attr(
        feature = "serde",
        serde(default, with = "plimsoll_core::support::serde_text::optional")
    )]
    service_time: Option<Duration>,
    #[cfg_attr(
        feature = "serde",
        serde(default, with = "plimsoll_core::support::serde_text::optional")
    )]
    retry_after: Option<Duration>,
    #[cfg_attr(
        feature = "serde",
        serde(default, with = "plimsoll_core::support::serde_text::optional")
    )]
    max_retry_after: Option<Duration>,
    #[cfg_attr(
        feature = "serde",
        serde(
            default = "default_max_stall",
            with = "plimsoll_core::support::serde_text::optional"
        )
    )]
    max_stall: Option<Duration>,
    #[cfg_attr(feature = "serde", serde(default))]
    reject_as_over_quota: bool,
}

/// Length and longest wait of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields)
)]
struct Queue {
    len: usize,
    #[cfg_attr(
        feature = "serde",
        serde(with = "plimsoll_core::support::serde_text::duration")
    )]
    max_wait: Duration,
}

/// Target and interval of a controlled delay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields)
)]
struct ControlledDelay {
    #[cfg_attr(
        feature = "serde",
        serde(with = "plimsoll_core::support::serde_text::duration")
    )]
    target: Duration,
    #[cfg_attr(
        feature = "serde",
        serde(with = "plimsoll_core::support::serde_text::duration")
    )]
    interval: Duration,
}

/// The default of `max_stall`, in the type of its field, as serde needs it.
#[allow(clippy::unnecessary_wraps)]
const fn default_max_stall() -> Option<Duration> {
    Some(DEFAULT_MAX_STALL)
}

impl ConcurrencyLimit {
    /// Returns a builder, for settings that come from a file.
    pub fn builder(limit: impl Into<Limit>) -> ConcurrencyLimitBuilder {
        ConcurrencyLimitBuilder {
            limit: limit.into(),
            queue: None,
            order: Order::Fifo,
            controlled_delay: None,
            service_time: None,
            retry_after: None,
            max_retry_after: None,
            max_stall: default_max_stall(),
            reject_as_over_quota: false,
        }
    }
}

impl ConcurrencyLimitBuilder {
    /// Sets length and longest wait of the queue; see [`ConcurrencyLimit::queue`].
    pub const fn queue(mut self, len: usize, max_wait: Duration) -> Self {
        self.queue = Some(Queue { len, max_wait });
        self
    }

    /// Sets which of several equal waiters is next; see [`ConcurrencyLimit::order`].
    pub const fn order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// Rejects waiters early while the queue is congested; see
    /// [`ConcurrencyLimit::controlled_delay`].
    pub const fn controlled_delay(mut self, target: Duration, interval: Duration) -> Self {
        self.controlled_delay = Some(ControlledDelay { target, interval });
        self
    }

    /// Sets the 99th percentile of the service time; see [`ConcurrencyLimit::service_time`].
    pub const fn service_time(mut self, p99: Duration) -> Self {
        self.service_time = Some(p99);
        self
    }

    /// Sets the retry hint of rejections; see [`ConcurrencyLimit::retry_after`].
    pub const fn retry_after(mut self, hint: Duration) -> Self {
        self.retry_after = Some(hint);
        self
    }

    /// Bounds the estimated retry hint; see [`ConcurrencyLimit::max_retry_after`].
    pub const fn max_retry_after(mut self, max: Duration) -> Self {
        self.max_retry_after = Some(max);
        self
    }

    /// Sets how long a response may stay unread; see [`ConcurrencyLimit::max_stall`].
    pub fn max_stall(mut self, longest: impl Into<Option<Duration>>) -> Self {
        self.max_stall = longest.into();
        self
    }

    /// Rejects as over quota; see [`ConcurrencyLimit::reject_as_over_quota`].
    pub const fn reject_as_over_quota(mut self) -> Self {
        self.reject_as_over_quota = true;
        self
    }

    /// Builds the limit.
    ///
    /// # Errors
    ///
    /// The first setting that is out of bounds, with the bound.
    pub fn build(self) -> Result<ConcurrencyLimit, InvalidConcurrencyLimit> {
        let mut limit = match self.limit {
            Limit::Fixed(limit) => ConcurrencyLimit::new(limit)?,
            Limit::Adaptive(_) => ConcurrencyLimit::adaptive(),
        };
        if let Limit::Adaptive(Some(within)) = self.limit {
            limit.handle().set_bounds(within)?;
        }
        if let Some(Queue { len, max_wait }) = self.queue {
            limit = limit.queue(len, max_wait)?;
        }
        if let Some(ControlledDelay { target, interval }) = self.controlled_delay {
            limit = limit.controlled_delay(target, interval)?;
        }
        if let Some(p99) = self.service_time {
            limit = limit.service_time(p99)?;
        }
        if let Some(hint) = self.retry_after {
            limit = limit.retry_after(hint)?;
        }
        if let Some(max) = self.max_retry_after {
            limit = limit.max_retry_after(max)?;
        }
        if self.reject_as_over_quota {
            limit = limit.reject_as_over_quota();
        }
        limit.order(self.order).max_stall(self.max_stall)
    }
}
