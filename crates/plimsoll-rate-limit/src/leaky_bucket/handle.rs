//! Settings and figures at run time.

use std::{sync::Arc, time::Duration};

use plimsoll_core::LoadSignal;

use super::{InvalidLeakyBucket, state::State};

/// Reads and changes a [`LeakyBucket`](crate::LeakyBucket) while it is in use. Clones share it.
///
/// The cells of a bucket [per key](crate::LeakyBucket::per_key) share settings and counters; those who
/// [wait](Self::waiting) and the load are those of the one cell this handle came from.
#[derive(Debug, Clone)]
pub struct LeakyBucketHandle(pub(super) Arc<State>);

impl LeakyBucketHandle {
    /// Requests per period.
    pub fn rate(&self) -> (u32, Duration) {
        self.0.settings.rate()
    }

    /// Changes the rate at which requests leave, also for those who wait: what is left of the pause before the next
    /// departure grows or shrinks with the interval, and so does every pause after it. Nobody who waits is refused for
    /// it (but by its own deadline), even if it then waits longer than [`max_wait`](Self::max_wait).
    ///
    /// In other cells of a bucket per key it takes effect when next a request comes or leaves.
    ///
    /// # Errors
    ///
    /// As for [`LeakyBucket::new`](crate::LeakyBucket::new). Nothing is changed then.
    pub fn set_rate(&self, count: u32, period: Duration) -> Result<(), InvalidLeakyBucket> {
        self.0.settings.set_rate(count, period)?;
        self.0.rouse();
        Ok(())
    }

    /// Requests that may wait.
    pub fn max_waiting(&self) -> usize {
        self.0.settings.max_waiting() as usize
    }

    /// Changes how many may wait. Those who wait already keep their place.
    ///
    /// # Errors
    ///
    /// When it is 0 or more than 2^20. Nothing is changed then.
    pub fn set_max_waiting(&self, requests: usize) -> Result<(), InvalidLeakyBucket> {
        self.0.settings.set_max_waiting(requests)
    }

    /// The longest that a request may have to wait.
    pub fn max_wait(&self) -> Duration {
        Duration::from_nanos(self.0.settings.max_wait())
    }

    /// Changes how long a request may have to wait. Those who wait already keep their place.
    ///
    /// # Errors
    ///
    /// When it is zero or more than 1 hour. Nothing is changed then.
    pub fn set_max_wait(&self, wait: Duration) -> Result<(), InvalidLeakyBucket> {
        self.0.settings.set_max_wait(wait)
    }

    /// Requests that wait.
    pub fn waiting(&self) -> usize {
        self.0.waiting() as usize
    }

    /// Requests that were refused because the queue was full, the wait too long, or the cost too high.
    pub fn refused(&self) -> u64 {
        self.0.settings.refused.get()
    }

    /// Requests that were refused because their deadline came before their turn.
    pub fn past_deadline(&self) -> u64 {
        self.0.settings.past_deadline.get()
    }

    /// Requests whose caller went away while they waited.
    pub fn abandoned(&self) -> u64 {
        self.0.settings.abandoned.get()
    }
}

/// How full the queue is: those who wait over those who may, or the time they will take over the longest wait, whichever
/// is more. 0 when nobody waits, 1 when one more is refused.
impl LoadSignal for LeakyBucketHandle {
    #[inline]
    fn load(&self) -> f64 {
        let settings = &self.0.settings;
        let (_, [interval]) = settings.rate.read();
        let places = self.0.waiting() as f64 / settings.max_waiting() as f64;
        let time = self.0.backlog() as f64 * interval as f64 / settings.max_wait() as f64;
        places.max(time)
    }
}
