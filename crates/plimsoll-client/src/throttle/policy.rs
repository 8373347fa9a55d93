//! The `AdaptiveThrottle` policy.

use std::{convert::Infallible, fmt, sync::Arc, time::Duration};

use plimsoll_core::{
    ByExtension, Class, Criticality, Outcome, Policy,
    policy::{Interests, Prioritize, Verdict},
};
use tokio::time::Instant;

use super::{handle::AdaptiveThrottleHandle, shared::Shared};
use crate::{InvalidAdaptiveThrottle, sync::Ordering::Relaxed};

/// The policy's name in rejections.
pub(super) const NAME: &str = "adaptive-throttle";

/// Rejects in the client what the callee would reject: adaptive throttling, SRE book, chapter 21.
///
/// Position: in a client, or in a server before a dependency. The only input is the answers. Over a
/// window of two minutes it counts requests and accepts of each criticality, and rejects with
/// probability
///
/// ```text
/// min(0.8, max(0, (requests - K * accepts) / (requests + 1)))          K = 2
/// ```
///
/// - Requests that are rejected here count as requests. So the rate that is sent converges to K
///   times the accepted rate, whatever the offered rate; if they did not count, as in some
///   libraries, it would grow with the square root of the offered rate. A lower K sends fewer
///   requests that are then rejected; a higher K detects a recovered callee sooner.
/// - The bound ([`max_rejection`](Self::max_rejection)) is Envoy's. The published formula has none:
///   after a long outage it would send almost nothing for many minutes, and get no answers to
///   recover from. With the bound a fifth of the requests is always sent, so beyond ten times
///   overload (K / (1 - 0.8)) the callee receives a fifth of the offered rate and not K times what
///   it accepts.
/// - The lower of two probabilities counts: that of the whole window, and that of its last sixth if
///   it has enough requests. A callee that recovers after five minutes of outage gets all requests
///   again within half a minute.
///
/// Requests are rejected at random, regardless of cohorts: the formula requires that the requests
/// that are sent are a fair sample.
///
/// # What counts
///
/// A call is counted before it is sent, and its count takes part in the ratio from the moment at which
/// something is known of it: when it ends, or when it has waited too long for its head. If every call in
/// flight were a request without an accept, the formula would reject a burst that comes before the first
/// answers; `a_cold_burst_is_sent` is that test.
///
/// | end of a call | counts as |
/// |---|---|
/// | [`Success`](plimsoll_core::Class::Success), [`Ignored`](plimsoll_core::Class::Ignored) (such as a 404) | accept |
/// | [`Overloaded`](plimsoll_core::Class::Overloaded) | no accept |
/// | [`Failure`](plimsoll_core::Class::Failure) | no accept; an accept with [`only_overload`](Self::only_overload) |
/// | [`Cancelled`](plimsoll_core::Class::Cancelled) after the head | accept |
/// | none yet: in flight, and the callee seems to hang | no accept |
/// | none yet: in flight for other reasons | nothing |
/// | `Cancelled` before the head, with a hung callee | no accept |
/// | `Cancelled` before the head for other reasons | nothing |
/// | rejected by this policy | no accept |
/// | rejected by another policy or gate ([`Rejected`](plimsoll_core::Class::Rejected)) | nothing |
///
/// In a client, give the gate [`Http::client`](plimsoll_core::Http::client), which classifies a 429
/// of the callee as an overload.
///
/// Timeouts outside of the gate appear as cancellations. A cancelled call indicates a hung callee
/// when it ran for the mean time to the head of accepted calls (100 ms before the first) and no
/// call was answered while it ran. A callee that hangs on some calls and answers others is
/// therefore detected only by timeouts *inside* of the gate, which are failures.
///
/// A call in flight counts as not accepted once it has waited for its head for a whole bucket (5
/// seconds by default), and for twice the mean time to a head, if no call that was sent as late has got
/// its head. Before the first head of all it is half of the window. So a callee that hangs is detected
/// without any timeout; a call that is in flight for longer than the window counts no more.
///
/// Counts are kept in 24 buckets, which expire by time: a client that pauses for a whole window
/// starts with empty counts. Nothing is rejected with fewer than 10 requests of a criticality in the
/// window ([`at_least`](Self::at_least)).
///
/// # Example
///
/// ```
/// use plimsoll_core::GateLayer;
/// use plimsoll_client::AdaptiveThrottle;
///
/// # fn main() -> Result<(), plimsoll_client::InvalidAdaptiveThrottle> {
/// let layer = GateLayer::new(AdaptiveThrottle::new().multiplier(1.5)?);
/// # let _: GateLayer<_> = layer;
/// # Ok(())
/// # }
/// ```
#[doc(alias("client-side throttling", "throttling", "SRE"))]
pub struct AdaptiveThrottle<R = ByExtension> {
    shared: Arc<Shared>,
    priorities: R,
    only_overload: bool,
}

/// The permit of [`AdaptiveThrottle`]: a request's criticality, and when it was sent.
#[derive(Debug)]
pub struct ThrottlePermit {
    criticality: Criticality,
    tick: u32,
    /// The head has not come.
    waits: bool,
}

impl AdaptiveThrottle {
    /// A policy with the defaults: K = 2, two minutes, at most 0.8 rejected, and the priority in
    /// the extensions of HTTP requests ([`ByExtension`]).
    pub fn new() -> Self {
        Self {
            shared: Arc::default(),
            priorities: ByExtension,
            only_overload: false,
        }
    }
}

impl<R> AdaptiveThrottle<R> {
    /// Sets K, the factor of accepts. Default: 2.
    ///
    /// # Errors
    ///
    /// When it is not a number from 1 to 100.
    pub fn multiplier(self, multiplier: f64) -> Result<Self, InvalidAdaptiveThrottle> {
        self.shared.set_multiplier(multiplier)?;
        Ok(self)
    }

    /// Sets the highest rejection probability. Default: 0.8.
    ///
    /// 1 is the published formula, with which recovery from an outage takes minutes.
    ///
    /// # Errors
    ///
    /// When it is not a number above 0 and at most 1.
    pub fn max_rejection(self, share: f64) -> Result<Self, InvalidAdaptiveThrottle> {
        self.shared.set_max_rejection(share)?;
        Ok(self)
    }

    /// Sets the length of the window. Default: 2 minutes.
    ///
    /// # Errors
    ///
    /// When it is less than 1 second or more than 1 hour.
    pub fn window(self, window: Duration) -> Result<Self, InvalidAdaptiveThrottle> {
        self.shared.set_window(window)?;
        Ok(self)
    }

    /// Sets the number of requests of a criticality in the window below which none is rejected.
    /// Default: 10.
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

    /// Replaces the source of priorities: [`ByHeader`](plimsoll_core::ByHeader),
    /// [`Same`](plimsoll_core::Same), or a closure
    /// `Fn(&Req) -> Priority`.
    pub fn priorities<Q>(self, priorities: Q) -> AdaptiveThrottle<Q> {
        AdaptiveThrottle {
            shared: self.shared,
            priorities,
            only_overload: self.only_overload,
        }
    }

    /// Sets the retry hint of rejections, before the protocol's jitter. Default: 1 second.
    ///
    /// # Errors
    ///
    /// When it is zero or more than 1 day.
    pub fn retry_after(self, hint: Duration) -> Result<Self, InvalidAdaptiveThrottle> {
        self.shared.ledger.retry_after.set(hint)?;
        Ok(self)
    }

    /// A handle that reads and changes this policy at run time.
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
            return Verdict::Reject(self.shared.ledger.reject(NAME, criticality, None));
        }
        self.shared.ledger.admitted.add(criticality);
        self.shared.sent(criticality, tick);
        Verdict::Admit(ThrottlePermit {
            criticality,
            tick,
            waits: true,
        })
    }

    #[inline]
    fn answered(&self, permit: &mut ThrottlePermit) {
        if permit.waits {
            permit.waits = false;
            self.shared.head(permit.criticality, permit.tick);
        }
    }

    #[inline]
    fn finish(&self, permit: ThrottlePermit, outcome: &Outcome) {
        let criticality = permit.criticality;
        match outcome.class {
            _ if !permit.waits => {}
            // An error is no head: it may be a timeout inside of the gate.
            Class::Success | Class::Ignored | Class::Overloaded => {
                self.shared.head(criticality, permit.tick);
            }
            _ => self.shared.unsent(criticality, permit.tick),
        }
        self.shared.ended(criticality, outcome, self.only_overload);
    }

    fn revoke(&self, permit: ThrottlePermit, _: Instant, _: Instant) {
        self.shared.unsent(permit.criticality, permit.tick);
        self.shared.ledger.admitted.take_back(permit.criticality);
    }

    #[inline]
    fn interests(&self, _: Interests) -> Interests {
        Interests::NONE.with_latency(true)
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
