//! Settings of a listener that are out of bounds.

use std::time::Duration;

/// A setting is out of bounds; the message names the setting, the bound and the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidBackpressureListener {
    /// The kernel would accept no byte, or an amount that it cannot store.
    #[error("unsent_low_water must be in 1..=2^30 bytes, got {0}")]
    UnsentLowWater(u32),
    /// Each write that blocks would fail at once, or practically never.
    #[error("write_deadline must be in 1 ms..=24 h, got {0:?}")]
    WriteDeadline(Duration),
    /// The kernel counts whole milliseconds in 32 bits.
    #[error("user_timeout must be in 1 ms..=2^32-1 ms, got {0:?}")]
    UserTimeout(Duration),
    /// The kernel counts whole seconds.
    #[error("keep_alive must be in 1 s..=32767 s, got {0:?}")]
    KeepAlive(Duration),
}
