//! Settings of WebSocket connections that are out of bounds.

use std::time::Duration;

use crate::InvalidQueue;

/// A setting is out of bounds; the message names the setting, the bound and the value.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidWebSocket {
    /// A setting of the queue per client.
    #[error(transparent)]
    Queue(#[from] InvalidQueue),
    /// The marks are fill levels, and a queue must be able to fall below the low one.
    #[error("marks must be 0 <= low < high <= 1, got low {low} and high {high}")]
    Marks {
        /// The low mark.
        low: f64,
        /// The high mark.
        high: f64,
    },
    /// A time is 0, or so long that it is no limit.
    #[error("{setting} must be in 1 ms..=24 h, got {got:?}")]
    Time {
        /// The name of the setting.
        setting: &'static str,
        /// Its value.
        got: Duration,
    },
    /// A client would be disconnected before it was asked.
    #[error("silence_limit must be longer than ping_every ({ping_every:?}), got {silence_limit:?}")]
    SilenceLimit {
        /// The interval of pings.
        ping_every: Duration,
        /// The longest silence.
        silence_limit: Duration,
    },
    /// A size or a count is out of bounds.
    #[error("{setting} must be in {least}..={most}, got {got}")]
    Size {
        /// The name of the setting.
        setting: &'static str,
        /// The lowest value.
        least: usize,
        /// The highest value.
        most: usize,
        /// The value.
        got: usize,
    },
    /// The code is not one that means that a client was too slow.
    #[error("slow_code must be 1013 or in 4000..=4999, got {0}")]
    SlowCode(u16),
}
