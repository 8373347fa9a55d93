//! The clock of what is measured or delayed by time, which tests can pause.

use tokio::time::Instant;

/// The time now.
pub(crate) fn now() -> Instant {
    Instant::now()
}
