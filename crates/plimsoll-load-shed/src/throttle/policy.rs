//! The policy.

use std::{convert::Infallible, fmt, sync::Arc, time::Duration};

use plimsoll_core::{ByExtension, Criticality, Outcome, Policy, Prioritize, Verdict};
use tokio::time::Instant;

use super::{handle::AdaptiveThrottleHandle, shared::Shared};
use crate::{InvalidLoadShed, sync::Ordering::Relaxed};

/// The policy's name in rejections.
const NAME: &str = "adaptive-throttle";

/// Rejects in the client what the callee would reject: adaptive throttling, SRE book, chapter 21.
///
/// It stands in a client, or in a server before a dependency, and needs no signal but the answers.
/// Over a window of two minutes it counts requests and accepts, for each criticality on its own,
/// and rejects with probability
///
/// ```text
/// min(0.8, max(0, (requests - K * accepts) / (requests + 1)))          K = 2
/// ```
///
/// - Requests that are rejected here count as requests. So the rate that is sent settles at K times
///   the rate that is accepted, however much is offered; if they did not count, as in some
///   libraries, it would grow with the square root of the offer. A lower K sends less that is
///   rejected, a higher one sees sooner that the callee has recovered.
/// - The bound ([`max_rejection`](Self::max_rejection)) is Envoy's. The published formula has none:
///   after a long outage it would send next to nothing for many minutes, and learn nothing. With
///   the bound a fifth of the requests is sent however bad the callee is, so beyond an overload of
///   ten times (K / (1 - 0.8)) the callee receives a fifth of the offer and not K times what it
///   accepts.
/// - The lower of two probabilities holds: that of the whole window and that of its last sixth,
///   where it has enough requests. A callee that recovered from five minutes of outage is sent
///   everything again within half a minute.
///
/// It is by lot, without regard to cohorts: the sum works out only if the requests that are sent
/// are like the others.
///
/// # What counts
///
/// Both parts of the ratio are counted when the call ends, so calls in flight count nowhere.
///
/// | end of a call | counts as |
/// |---|---|
/// | [`Success`](plimsoll_core::Class::Success), [`Ignored`](plimsoll_core::Class::Ignored) (a 404, say) | accept |
/// | [`Overloaded`](plimsoll_core::Class::Overloaded) | no accept |
/// | [`Failure`](plimsoll_core::Class::Failure) | no accept; an accept with [`only_overload`](Self::only_overload) |
/// | [`Cancelled`](plimsoll_core::Class::Cancelled) after the head | accept |
/// | `Cancelled` before the head, the callee hung | no accept |
/// | `Cancelled` before the head for other reasons | nothing |
/// | rejected by this policy | no accept |
/// | rejected by another policy or gate ([`Rejected`](plimsoll_core::Class::Rejected)) | nothing |
///
/// In a client give the gate [`Http::client`](plimsoll_core::Http::client): a 429 of the callee is an
/// overload there.
///
/// Timeouts outside of the gate are seen as cancellations only. A cancelled call shows a hung
/// callee when it ran for the mean time to the head of accepted calls (100 ms while no call was accepted)
/// and no call at all was answered while it ran. A callee that hangs on some calls and answers
/// others is therefore seen by timeouts *inside* of the gate only, where they are failures.
///
/// Counts are kept in 24 buckets, which expire when they are read too late: a client that has
/// stopped sending starts afresh. A hung callee is noticed after the callers' timeout at the
/// earliest. Nothing is rejected with fewer than 10 requests of that criticality in the window
/// ([`at_least`](Self::at_least)).
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

/// What [`AdaptiveThrottle`] keeps of a request: its criticality.
#[derive(Debug)]
pub struct ThrottlePermit(Criticality);

impl AdaptiveThrottle {
    /// K = 2, two minutes, at most 0.8 rejected, and the priority in the extensions of HTTP
    /// requests ([`ByExtension`]).
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

    /// The highest rejection probability. 0.8 unless set.
    ///
    /// With 1 the published formula holds as it is, and recovery from an outage takes minutes.
    ///
    /// # Errors
    ///
    /// When it is not a number above 0 and at most 1.
    pub fn max_rejection(self, share: f64) -> Result<Self, InvalidLoadShed> {
        self.shared.set_max_rejection(share)?;
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

    /// Rejects nothing while the window has fewer requests of a criticality. 10 unless set.
    #[must_use]
    pub fn at_least(self, requests: u64) -> Self {
        self.shared.fewest.store(requests, Relaxed);
        self
    }

    /// Counts failures as accepts: only overload answers and a hung callee are no accepts.
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
        if probability > 0.0 && fastrand::f64() < probability {
            self.shared.counts(criticality).requests.add(tick);
            return Verdict::Reject(self.shared.ledger.refuse(NAME, criticality, None));
        }
        self.shared.ledger.admitted.add(criticality);
        Verdict::Admit(ThrottlePermit(criticality))
    }

    #[inline]
    fn finish(&self, permit: ThrottlePermit, outcome: &Outcome) {
        self.shared.ended(permit.0, outcome, self.only_overload);
    }

    fn revoke(&self, permit: ThrottlePermit, _: Instant, _: Instant) {
        self.shared.ledger.admitted.take_back(permit.0);
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
