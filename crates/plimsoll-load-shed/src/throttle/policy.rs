//! The policy.

use std::{convert::Infallible, fmt, sync::Arc, time::Duration};

use plimsoll_core::{ByExtension, Criticality, Outcome, Policy, Prioritize, Verdict};
use tokio::time::Instant;

use super::{
    handle::AdaptiveThrottleHandle,
    shared::{Shared, accepted},
};
use crate::{InvalidLoadShed, sync::Ordering::Relaxed};

/// The policy's name in rejections.
const NAME: &str = "adaptive-throttle";

/// Refuses here what the other side would refuse: adaptive throttling, from Google's SRE book, chapter 21.
///
/// It stands in a client, or in a server before a dependency, and needs no signal but the answers. Of the requests in the last two
/// minutes it knows how many there were and how many were accepted, for each criticality on its own, and refuses with probability
///
/// ```text
/// max(0, (requests - K * accepts) / (requests + 1))          K = 2
/// ```
///
/// Requests that are refused here count as requests. So what is sent settles at K times what is accepted, however much
/// is offered; were they not counted, as in some libraries, it would grow with the square root of the offer. A lower K
/// sends less that is refused, a higher one notices sooner that the other side is well again.
///
/// It is by lot, without regard to cohorts: the sum works out only if those that are sent are like those that are not.
///
/// # What counts
///
/// A request counts when it is sent, not when it is answered, so keep the window longer than calls take. Success is an accept;
/// failures and overload answers are none ([`only_overload`](Self::only_overload) takes failures for accepts). What was cancelled, or
/// answered with what says nothing about the service ([`Class::Ignored`](plimsoll_core::Class::Ignored)), is not counted at all,
/// nor is what a later policy of the stack refuses.
///
/// Counts are kept in 24 buckets, which are over when they are read too late: a client that has stopped sending starts afresh.
/// Nothing is refused with fewer than 10 requests of that criticality in the window ([`at_least`](Self::at_least)).
///
/// # Example
///
/// ```
/// use plimsoll_core::GateLayer;
/// use plimsoll_load_shed::AdaptiveThrottle;
///
/// # fn main() -> Result<(), plimsoll_load_shed::InvalidLoadShed> {
/// let layer = GateLayer::new(AdaptiveThrottle::new().multiplier(1.5)?);
/// # let _: GateLayer<_> = layer;
/// # Ok(())
/// # }
/// ```
pub struct AdaptiveThrottle<R = ByExtension> {
    shared: Arc<Shared>,
    priorities: R,
    only_overload: bool,
}

/// What [`AdaptiveThrottle`] remembers of a request: where it was counted.
#[derive(Debug)]
pub struct ThrottlePermit {
    tick: u32,
    criticality: Criticality,
}

impl AdaptiveThrottle {
    /// K = 2, two minutes, and the priority in the extensions of HTTP requests ([`ByExtension`]).
    pub fn new() -> Self {
        Self {
            shared: Arc::default(),
            priorities: ByExtension,
            only_overload: false,
        }
    }
}

impl<R> AdaptiveThrottle<R> {
    /// K, by which accepts are multiplied. 2 unless set.
    ///
    /// # Errors
    ///
    /// When it is not a number from 1 to 100.
    pub fn multiplier(self, multiplier: f64) -> Result<Self, InvalidLoadShed> {
        self.shared.set_multiplier(multiplier)?;
        Ok(self)
    }

    /// Looks back this long. 2 minutes unless set.
    ///
    /// # Errors
    ///
    /// When it is less than 1 second or more than 1 hour.
    pub fn window(self, window: Duration) -> Result<Self, InvalidLoadShed> {
        self.shared.set_window(window)?;
        Ok(self)
    }

    /// Refuses nothing while there are fewer requests of a criticality than this in the window. 10 unless set.
    #[must_use]
    pub fn at_least(self, requests: u64) -> Self {
        self.shared.fewest.store(requests, Relaxed);
        self
    }

    /// Takes failures for accepts: only answers that say so mean overload.
    #[must_use]
    pub fn only_overload(mut self) -> Self {
        self.only_overload = true;
        self
    }

    /// Tells priorities otherwise: [`ByHeader`](plimsoll_core::ByHeader), [`Same`](plimsoll_core::Same), or a closure
    /// `Fn(&Req) -> Priority`.
    pub fn priorities<Q>(self, priorities: Q) -> AdaptiveThrottle<Q> {
        AdaptiveThrottle {
            shared: self.shared,
            priorities,
            only_overload: self.only_overload,
        }
    }

    /// Tells refused callers to stay away for this long, before the protocol's jitter. 1 second unless set.
    ///
    /// # Errors
    ///
    /// When it is zero or more than 1 day.
    pub fn retry_after(self, hint: Duration) -> Result<Self, InvalidLoadShed> {
        self.shared.ledger.retry_after.set(hint)?;
        Ok(self)
    }

    /// Reads and changes this policy while it works.
    pub fn handle(&self) -> AdaptiveThrottleHandle {
        AdaptiveThrottleHandle::new(Arc::clone(&self.shared))
    }
}

impl<Req, R: Prioritize<Req>> Policy<Req> for AdaptiveThrottle<R> {
    type Permit = ThrottlePermit;
    plimsoll_core::decides_at_once!(Req);

    #[inline]
    fn admit(&self, req: &mut Req, now: Instant) -> Verdict<ThrottlePermit, Infallible> {
        let criticality = self.priorities.priority(req).criticality();
        let tick = self.shared.tick(now);
        let probability = self.shared.probability(criticality, tick);
        self.shared.counts(criticality).requests.add(tick);
        if probability > 0.0 && fastrand::f64() < probability {
            return Verdict::Reject(self.shared.ledger.refuse(NAME, criticality, None));
        }
        self.shared.ledger.admitted.add(criticality);
        Verdict::Admit(ThrottlePermit { tick, criticality })
    }

    #[inline]
    fn finish(&self, permit: ThrottlePermit, outcome: &Outcome) {
        let counts = self.shared.counts(permit.criticality);
        match accepted(outcome.class, self.only_overload) {
            Some(true) => counts.accepts.add(permit.tick),
            Some(false) => {}
            None => counts.requests.take_back(permit.tick),
        }
    }

    fn revoke(&self, permit: ThrottlePermit, _: Instant, _: Instant) {
        let counts = self.shared.counts(permit.criticality);
        counts.requests.take_back(permit.tick);
    }

    #[inline]
    fn reads_latency(&self) -> bool {
        false
    }

    #[inline]
    fn announces(&self) -> bool {
        false
    }
}

impl Default for AdaptiveThrottle {
    fn default() -> Self {
        Self::new()
    }
}

impl<R> fmt::Debug for AdaptiveThrottle<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdaptiveThrottle")
            .field("multiplier", &self.shared.multiplier())
            .finish_non_exhaustive()
    }
}
