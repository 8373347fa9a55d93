//! The clock of what is measured or delayed by time, which tests can pause.

use std::time::Duration;

use tokio::time::Instant;

/// The time now.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Time since the clock was made, in nanoseconds, so that a time stamp has one word.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn new() -> Self {
        Self(now())
    }

    /// The time now, from 1 on: 0 stands for an item without a time stamp.
    pub(crate) fn now(self) -> u64 {
        nanos(self.0.elapsed()).saturating_add(1)
    }
}

/// Saturates after 584 years.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
