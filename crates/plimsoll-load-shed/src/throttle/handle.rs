//! Settings and figures at run time.

use std::sync::Arc;

use plimsoll_core::Criticality;
use tokio::time::Instant;

use super::{shared::Shared, window::BUCKETS};
use crate::{InvalidLoadShed, ledger::ledger_methods, sync::Ordering::Relaxed};

/// Reads and changes an [`AdaptiveThrottle`](crate::AdaptiveThrottle) policy while it works. Clones share it.
#[derive(Debug, Clone)]
pub struct AdaptiveThrottleHandle(Arc<Shared>);

impl AdaptiveThrottleHandle {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    /// The probability with which a request of this criticality is refused at `now`. 0 also while there are too few to
    /// tell.
    pub fn probability(&self, criticality: Criticality, now: Instant) -> f64 {
        self.0.probability(criticality, self.0.tick(now))
    }

    /// Requests of this criticality that ended in the window up to `now`: answered, or rejected
    /// here.
    pub fn requests(&self, criticality: Criticality, now: Instant) -> u64 {
        let counts = self.0.counts(criticality);
        counts.requests.count(BUCKETS, self.0.tick(now))
    }

    /// Requests of this criticality that were accepted in the window up to `now`.
    pub fn accepts(&self, criticality: Criticality, now: Instant) -> u64 {
        let counts = self.0.counts(criticality);
        counts.accepts.count(BUCKETS, self.0.tick(now))
    }

    /// K, by which accepts are multiplied.
    pub fn multiplier(&self) -> f64 {
        self.0.multiplier()
    }

    /// Changes K.
    ///
    /// # Errors
    ///
    /// When it is not a number from 1 to 100. Nothing is changed then.
    pub fn set_multiplier(&self, multiplier: f64) -> Result<(), InvalidLoadShed> {
        self.0.set_multiplier(multiplier)
    }

    /// The highest rejection probability.
    pub fn max_rejection(&self) -> f64 {
        self.0.max_rejection()
    }

    /// Changes the highest rejection probability.
    ///
    /// # Errors
    ///
    /// When it is not a number above 0 and at most 1. Nothing is changed then.
    pub fn set_max_rejection(&self, share: f64) -> Result<(), InvalidLoadShed> {
        self.0.set_max_rejection(share)
    }

    /// Fewer requests than this in the window, and none is refused.
    pub fn at_least(&self) -> u64 {
        self.0.fewest.load(Relaxed)
    }

    /// Changes how many requests there have to be.
    pub fn set_at_least(&self, requests: u64) {
        self.0.fewest.store(requests, Relaxed);
    }

    ledger_methods!();
}
