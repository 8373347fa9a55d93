//! The figures of a queue.

use std::time::Duration;

use plimsoll_core::LoadSignal;

use super::{bounded::BoundedQueue, counters::Counters, waits::WaitTimes};

impl<T> BoundedQueue<T> {
    /// Returns the number of queued items. Room of permits is not included.
    pub fn len(&self) -> usize {
        self.shared.len()
    }

    /// Returns whether no item is queued.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the sum of the weights of the queued items: 0 without a bound in bytes.
    pub fn bytes(&self) -> usize {
        self.shared.bytes()
    }

    /// Returns the bound in items.
    pub fn capacity(&self) -> usize {
        self.shared.limits.items
    }

    /// Returns the bound in bytes, if there is one.
    pub fn max_bytes(&self) -> Option<usize> {
        let bytes = self.shared.limits.bytes;
        (bytes != usize::MAX).then_some(bytes)
    }

    /// Returns the age of the first queued item that has a time stamp, or `None`.
    ///
    /// It is the oldest one, unless [`QueuePolicy::Coalesce`](crate::QueuePolicy::Coalesce) has
    /// replaced it or the policy was changed.
    /// Items have one under [`QueuePolicy::DropExpired`](crate::QueuePolicy::DropExpired) and with
    /// [`measure_waits`](crate::BoundedQueueBuilder::measure_waits). It looks through the items up to the
    /// first with a time stamp.
    pub fn oldest_age(&self) -> Option<Duration> {
        self.shared.lock_short().oldest_age()
    }

    /// Returns the counters, all of the same moment.
    pub fn counters(&self) -> Counters {
        let mut state = self.shared.lock_short();
        self.shared.count_batch(&mut state);
        state.counted()
    }

    /// Returns how long items waited, if that is [measured](crate::BoundedQueueBuilder::measure_waits).
    pub fn wait_times(&self) -> Option<WaitTimes> {
        self.shared
            .lock_short()
            .waits
            .as_ref()
            .map(super::waits::Waits::snapshot)
    }
}

/// The fill level: the share of the tighter bound that is in use, 0 to 1.
impl<T> LoadSignal for BoundedQueue<T> {
    fn load(&self) -> f64 {
        self.shared.load()
    }
}
