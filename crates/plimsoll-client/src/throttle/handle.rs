//! Run-time settings and figures of an `AdaptiveThrottle`.

use std::sync::Arc;

use plimsoll_core::{
    Criticality,
    support::{Ledger, ledger_methods},
};
use tokio::time::Instant;

use super::{shared::Shared, window::BUCKETS};
use crate::{InvalidAdaptiveThrottle, sync::Ordering::Relaxed};

/// Reads and changes an [`AdaptiveThrottle`](crate::AdaptiveThrottle) policy at run time. Clones
/// share it.
#[derive(Debug, Clone)]
pub struct AdaptiveThrottleHandle(Arc<Shared>);

impl AdaptiveThrottleHandle {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    /// The probability with which a request of this criticality is rejected at `now`. It is also 0
    /// below [`at_least`](Self::at_least) requests.
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

    /// Requests of this criticality that are in flight at `now`, and have waited so long for their heads
    /// that the callee seems to hang. The ratio counts them as requests without an accept.
    pub fn overdue(&self, criticality: Criticality, now: Instant) -> u64 {
        self.0.overdue(criticality, self.0.tick(now))
    }

    /// The factor K of accepts.
    pub fn multiplier(&self) -> f64 {
        self.0.multiplier()
    }

    /// Changes K.
    ///
    /// # Errors
    ///
    /// When it is not a number from 1 to 100. On error nothing changes.
    pub fn set_multiplier(&self, multiplier: f64) -> Result<(), InvalidAdaptiveThrottle> {
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
    /// When it is not a number above 0 and at most 1. On error nothing changes.
    pub fn set_max_rejection(&self, share: f64) -> Result<(), InvalidAdaptiveThrottle> {
        self.0.set_max_rejection(share)
    }

    /// The number of requests in the window below which none is rejected.
    pub fn at_least(&self) -> u64 {
        self.0.fewest.load(Relaxed)
    }

    /// Changes the number of requests below which none is rejected.
    pub fn set_at_least(&self, requests: u64) {
        self.0.fewest.store(requests, Relaxed);
    }

    ledger_methods!(InvalidAdaptiveThrottle);

    pub(super) fn ledger(&self) -> &Ledger {
        &self.0.ledger
    }
}
