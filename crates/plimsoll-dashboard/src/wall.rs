//! The wall clock of the time axis. No interval is measured with it.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "operators compare events with clocks"
)]

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970; 0 before that.
pub(crate) fn wall() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(now.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}
