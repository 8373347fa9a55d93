//! The turns of the streams that wait for one bucket.

use std::{
    sync::atomic::{
        AtomicU64,
        Ordering::{Acquire, Release},
    },
    time::Duration,
};

use plimsoll_core::policy::Epoch;
use tokio::time::Instant;

/// The time at which the last stream that waits for a bucket has its turn.
///
/// Each stream that waits sleeps until a time of its own: the first one until its tokens are there,
/// and the next one until as many more are there as it needs. So a thousand waiting streams are
/// woken once each, and not all for each token; light items do not overtake a heavy one without
/// end; and a stream that is no longer polled blocks no other stream: its turn passes with time.
/// The bucket still decides: a turn is only the time of the next attempt.
#[derive(Debug, Default)]
pub(crate) struct Line {
    epoch: Epoch,
    /// In nanoseconds of the epoch.
    until: AtomicU64,
}

impl Line {
    /// Whether a stream waits whose turn has not come.
    pub(crate) fn is_busy(&self, now: Instant) -> bool {
        let until = self.until.load(Acquire);
        until > 0 && until > self.epoch.nanos(now)
    }

    /// Adds a turn at the end, `step` after the last one, and returns its time.
    pub(crate) fn join(&self, now: Instant, step: Duration) -> Instant {
        let (from, step) = (self.epoch.nanos(now), nanos(step));
        let turn = |until: u64| until.max(from).saturating_add(step);
        let before = self
            .until
            .fetch_update(Release, Acquire, |until| Some(turn(until)));
        let at = turn(before.unwrap_or_else(|until| until));
        self.epoch
            .instant(at)
            .unwrap_or(now + Duration::from_nanos(step))
    }

    /// Adds a turn at the time that the bucket has given.
    pub(crate) fn lead(&self, now: Instant, wait: Duration) -> Instant {
        let at = self.epoch.nanos(now).saturating_add(nanos(wait));
        self.until.fetch_max(at, Release);
        now + wait
    }

    /// Releases a turn that is no longer needed, so that later streams do not wait for it.
    pub(crate) fn leave(&self, step: Duration) {
        // The update always succeeds.
        _ = self.until.fetch_update(Release, Acquire, |until| {
            Some(until.saturating_sub(nanos(step)))
        });
    }
}

/// Saturates after 584 years.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
