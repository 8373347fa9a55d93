//! Settings and figures at run time.

use std::sync::Arc;

use plimsoll_core::Criticality;
use tokio::time::Instant;

use super::shared::Shared;
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

    /// Requests of this criticality in the window that ends `now`, those refused here among them.
    pub fn requests(&self, criticality: Criticality, now: Instant) -> u64 {
        self.0.counts(criticality).requests.count(self.0.tick(now))
    }

    /// Requests of this criticality in the window that ends `now` that were accepted.
    pub fn accepts(&self, criticality: Criticality, now: Instant) -> u64 {
        self.0.counts(criticality).accepts.count(self.0.tick(now))
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
