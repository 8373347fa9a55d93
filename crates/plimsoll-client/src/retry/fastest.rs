//! The fastest recent success: with less time left, an attempt cannot finish.

use std::time::Duration;

use plimsoll_core::policy::Epoch;
use tokio::time::Instant;

use crate::sync::{AtomicU64, Ordering::Relaxed};

/// How long a latency counts at least, in nanoseconds: 30 seconds. Long enough for a few successes,
/// short enough to follow a callee that becomes faster or slower.
/// `an_attempt_that_cannot_finish_is_not_sent` fails when it is longer than its pause.
const PERIOD: u64 = 30_000_000_000;

/// The lowest latency of this period and of the one before.
#[derive(Debug)]
pub(super) struct Fastest {
    epoch: Epoch,
    period: AtomicU64,
    current: AtomicU64,
    before: AtomicU64,
}

impl Default for Fastest {
    fn default() -> Self {
        Self {
            epoch: Epoch::new(),
            period: AtomicU64::new(0),
            current: AtomicU64::new(u64::MAX),
            before: AtomicU64::new(u64::MAX),
        }
    }
}

impl Fastest {
    /// Counts a success that took from `start` to `now`.
    pub(super) fn success(&self, start: Instant, now: Instant) {
        self.rotate(now);
        let took = now.saturating_duration_since(start).as_nanos();
        let took = u64::try_from(took).unwrap_or(u64::MAX);
        if took < self.current.load(Relaxed) {
            self.current.fetch_min(took, Relaxed);
        }
    }

    /// Returns the lowest latency; zero when none is known.
    pub(super) fn get(&self, now: Instant) -> Duration {
        self.rotate(now);
        let lowest = self.current.load(Relaxed).min(self.before.load(Relaxed));
        if lowest == u64::MAX {
            Duration::ZERO
        } else {
            Duration::from_nanos(lowest)
        }
    }

    /// Starts a period when the current one has ended. A success that races with it may be lost.
    fn rotate(&self, now: Instant) {
        let period = self.epoch.nanos(now) / PERIOD;
        let last = self.period.load(Relaxed);
        if period <= last {
            return;
        }
        let won = self.period.compare_exchange(last, period, Relaxed, Relaxed);
        if won.is_ok() {
            let current = self.current.swap(u64::MAX, Relaxed);
            let before = if period == last + 1 {
                current
            } else {
                u64::MAX
            };
            self.before.store(before, Relaxed);
        }
    }
}
