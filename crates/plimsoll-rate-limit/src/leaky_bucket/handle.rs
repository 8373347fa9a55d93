//! The handle of a leaky bucket.

use std::{sync::Arc, time::Duration};

use plimsoll_core::LoadSignal;

use super::{settings::InvalidLeakyBucket, state::State};

/// Reads and changes a [`LeakyBucket`](crate::LeakyBucket) while it is in use. Clones share it.
///
/// The cells of a bucket [per key](crate::LeakyBucket::per_key) share settings and counters. The
/// queue ([`waiting`](Self::waiting)) and the load are those of the cell that this handle came
/// from.
#[derive(Debug, Clone)]
pub struct LeakyBucketHandle(pub(super) Arc<State>);

impl LeakyBucketHandle {
    /// Returns the requests per period, and the period.
    pub fn rate(&self) -> (u32, Duration) {
        self.0.settings.rate()
    }

    /// Changes the rate, also for queued requests.
    ///
    /// The rest of the pause before the next departure, and every later pause, scales with the
    /// interval. No queued request is rejected because of the change (except by its own deadline),
    /// even if it then waits longer than [`max_wait`](Self::max_wait).
    ///
    /// In other cells of a bucket per key, the change takes effect at their next arrival or
    /// departure.
    ///
    /// # Errors
    ///
    /// As for [`LeakyBucket::new`](crate::LeakyBucket::new). Nothing is changed then.
    pub fn set_rate(&self, count: u32, period: Duration) -> Result<(), InvalidLeakyBucket> {
        self.0.settings.set_rate(count, period)?;
        self.0.wake_first();
        Ok(())
    }

    /// The maximum number of queued requests.
    pub fn max_waiting(&self) -> usize {
        self.0.settings.max_waiting() as usize
    }

    /// Changes the maximum number of queued requests. Requests in the queue keep their place.
    ///
    /// # Errors
    ///
    /// When it is 0 or more than 2^20. Nothing is changed then.
    pub fn set_max_waiting(&self, requests: usize) -> Result<(), InvalidLeakyBucket> {
        self.0.settings.set_max_waiting(requests)
    }

    /// The maximum time that a request may be queued.
    pub fn max_wait(&self) -> Duration {
        Duration::from_nanos(self.0.settings.max_wait())
    }

    /// Changes the maximum time in the queue. Requests in the queue keep their place.
    ///
    /// # Errors
    ///
    /// When it is zero or more than 1 hour. Nothing is changed then.
    pub fn set_max_wait(&self, wait: Duration) -> Result<(), InvalidLeakyBucket> {
        self.0.settings.set_max_wait(wait)
    }

    /// Requests in the queue.
    pub fn waiting(&self) -> usize {
        self.0.waiting() as usize
    }

    /// Requests rejected because the queue was full, the wait too long, or the cost too high.
    pub fn rejected(&self) -> u64 {
        self.0.settings.rejected.get()
    }

    /// Requests rejected because their deadline was before their departure.
    pub fn past_deadline(&self) -> u64 {
        self.0.settings.past_deadline.get()
    }

    /// Requests that were cancelled while they were queued.
    pub fn abandoned(&self) -> u64 {
        self.0.settings.abandoned.get()
    }
}

/// How full the queue is: 0 when it is empty, 1 when the next request is rejected.
///
/// The larger of two ratios: queued requests to their maximum, and the time until the queue is
/// empty to the maximum wait.
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
