//! Settings of a throttle that are out of bounds.

use plimsoll_rate_limit::InvalidQuota;

/// A setting is out of bounds; the message names the setting, the bound and the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidThrottle {
    /// The throttle would delay nothing.
    #[error("events or bytes must be set, got neither")]
    NoQuota,
    /// The quota of events is out of bounds.
    #[error("events: {0}")]
    Events(InvalidQuota),
    /// The quota of bytes is out of bounds.
    #[error("bytes: {0}")]
    Bytes(InvalidQuota),
    /// The throttle around this one is itself within another one.
    #[error("within must be a throttle on the outside, got one that is within another")]
    Within,
}
