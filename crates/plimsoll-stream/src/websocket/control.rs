//! The bound on control frames.

use std::time::Duration;

use tokio::time::Instant;

/// Counts the control frames of a client in consecutive periods.
#[derive(Debug)]
pub(super) struct ControlFrames {
    limit: u32,
    period: Duration,
    since: Instant,
    count: u32,
}

impl ControlFrames {
    pub(super) fn new(limit: u32, period: Duration, now: Instant) -> Self {
        Self {
            limit,
            period,
            since: now,
            count: 0,
        }
    }

    /// Counts a frame. Returns whether it is within the limit.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        if now.saturating_duration_since(self.since) >= self.period {
            (self.since, self.count) = (now, 0);
        }
        self.count = self.count.saturating_add(1);
        self.count <= self.limit
    }
}
