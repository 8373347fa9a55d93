//! The `LoadShed` policy.

use std::{convert::Infallible, fmt, sync::Arc, time::Duration};

use plimsoll_core::{
    ByExtension, Criticality, LoadSignal, Outcome, Policy, Priority, Rejection,
    policy::{Announcement, Interests, Prioritize, Verdict},
};
use tokio::time::Instant;

use crate::{InvalidLoadShed, LoadShedHandle, settings::Shared};

/// The policy's name in rejections.
pub(crate) const NAME: &str = "load-shed";

/// Sheds requests as a load rises, least important first.
///
/// # Load and threshold
///
/// A request has one of 512 [levels](Priority::level): four criticalities of 128 cohorts each. A
/// request is shed when its level is below the threshold, so a level is shed only when all lower
/// levels are. The threshold depends on the load alone:
///
/// ```text
/// threshold = 0                                              load <= start
///             min(511, floor(512 * (load - start) / (full - start)))    above
/// ```
///
/// So each criticality is shed in its quarter of the range from `start` to `full`. With the
/// default, 0.8 to 1:
///
/// | load | shed |
/// |---|---|
/// | up to 0.8 | nothing |
/// | 0.8 to 0.85 | a rising share of `SHEDDABLE` |
/// | 0.85 to 0.9 | all of that, and a rising share of `SHEDDABLE_PLUS` |
/// | 0.9 to 0.95 | all of those, and a rising share of `CRITICAL`, the default criticality |
/// | 0.95 to 1 | all of those, and a rising share of `CRITICAL_PLUS` |
/// | from 1 | everything except the top cohort of `CRITICAL_PLUS` |
///
/// The top level is never shed: a signal that falls only when requests end then cannot stay high
/// for lack of requests, as long as some requests have that level. Requests that must never be shed
/// (health checks) are exempted with [`When`](plimsoll_core::When).
///
/// # Cohorts
///
/// Within a criticality the cohort decides, so that all requests of one user get the same decision,
/// here and in every service that hashes the same key (see [`Priority::cohort_of`]). A request
/// without a cohort gets a random one at each decision, since one threshold would shed all such
/// requests or none. The shed share of them is `(threshold - lowest level) / 128` of the
/// criticality, as with evenly spread cohorts.
///
/// # Which signal
///
/// Use a signal that falls when less is admitted: a queue's [`Depth`](crate::Depth), or requests in
/// flight and queued. It is read for each request. A value that is not a number, or below zero,
/// reads as 0: a broken signal sheds nothing.
///
/// # Cost
///
/// The signal, the priority, and a counter; above `start` also a division, and a random number for
/// a request without a cohort. The policy holds no state per request, and never queues.
///
/// # Example
///
/// ```
/// use plimsoll_core::{GateLayer, When};
/// use plimsoll_load_shed::LoadShed;
///
/// # fn main() -> Result<(), plimsoll_load_shed::InvalidLoadShed> {
/// # let in_flight_over_limit = || 0.0;
/// let shed = LoadShed::new(in_flight_over_limit).between(0.7, 1.2)?;
/// let but_health = When::new(|req: &http::Request<String>| req.uri().path() != "/health", shed);
/// let layer = GateLayer::new(but_health);
/// # let _: GateLayer<_> = layer;
/// # Ok(())
/// # }
/// ```
#[doc(alias("load shedding", "overload", "brownout", "503"))]
pub struct LoadShed<L, R = ByExtension> {
    shared: Arc<Shared<L>>,
    priorities: R,
    announced: bool,
}

impl<L: LoadSignal> LoadShed<L> {
    /// Sheds by `signal` between the loads 0.8 and 1.
    ///
    /// The priority is read from the extensions of HTTP requests ([`ByExtension`]); the retry hint
    /// is 1 second.
    pub fn new(signal: L) -> Self {
        Self {
            shared: Arc::new(Shared::new(signal)),
            priorities: ByExtension,
            announced: false,
        }
    }
}

impl<L, R> LoadShed<L, R> {
    /// Sets the load above which shedding starts, and the load from which all but the top level is
    /// shed.
    ///
    /// Loads are compared in millionths. When the signal is a concurrency limit with a queue,
    /// requests begin to queue at a load of 1.
    ///
    /// # Errors
    ///
    /// When either is not a number from 0 to 1000, or `full` is not above `start` by at least a
    /// millionth.
    pub fn between(self, start: f64, full: f64) -> Result<Self, InvalidLoadShed> {
        self.shared.set_ramp(start, full)?;
        Ok(self)
    }

    /// Replaces the source of priorities: [`ByHeader`](plimsoll_core::ByHeader),
    /// [`Same`](plimsoll_core::Same), or a closure
    /// `Fn(&Req) -> Priority`.
    pub fn priorities<Q>(self, priorities: Q) -> LoadShed<L, Q> {
        LoadShed {
            shared: self.shared,
            priorities,
            announced: self.announced,
        }
    }

    /// Sets the retry hint of rejections, before the protocol's jitter. Default: 1 second.
    ///
    /// # Errors
    ///
    /// When it is zero or more than 1 day.
    pub fn retry_after(self, hint: Duration) -> Result<Self, InvalidLoadShed> {
        self.shared.ledger.retry_after.set(hint)?;
        Ok(self)
    }

    /// Announces the threshold on every answer, so that callers can shed before they send.
    ///
    /// It is written to the header [`THRESHOLD`](plimsoll_core::wire::THRESHOLD) and to the
    /// trailers of gRPC; `Downstream` of `plimsoll-client` reads it. Off by default.
    #[must_use]
    pub fn announce_threshold(mut self) -> Self {
        self.announced = true;
        self
    }

    /// A handle that reads and changes this policy at run time.
    pub fn handle(&self) -> LoadShedHandle<L> {
        LoadShedHandle::new(Arc::clone(&self.shared))
    }

    #[cold]
    fn reject(&self, priority: Priority, threshold: u16) -> Rejection {
        let threshold = self.announced.then_some(threshold);
        let ledger = &self.shared.ledger;
        ledger.reject(NAME, priority.criticality(), threshold)
    }
}

/// Whether a request of this priority is below the threshold; without a cohort, a random one
/// decides. Performance: out of line, since no request needs it below the ramp.
#[inline(never)]
fn is_below(priority: Priority, threshold: u16) -> bool {
    if priority.cohort().is_some() {
        return priority.level() < threshold;
    }
    // The part of this criticality that is shed: none below 0, all from 128 on.
    match threshold.checked_sub(priority.level()) {
        None => false,
        Some(Priority::COHORTS..) => true,
        Some(part) => fastrand::u16(..Priority::COHORTS) < part,
    }
}

impl<Req, L, R> Policy<Req> for LoadShed<L, R>
where
    L: LoadSignal + Send + Sync,
    R: Prioritize<Req>,
{
    type Permit = Criticality;
    plimsoll_core::decides_at_once!(Req);

    #[inline]
    fn admit(&self, req: &mut Req, _: Instant) -> Verdict<Criticality, Infallible> {
        let priority = self.priorities.priority(req);
        let threshold = self.shared.ramp().threshold(self.shared.signal.load());
        if threshold > 0 && is_below(priority, threshold) {
            return Verdict::Reject(self.reject(priority, threshold));
        }
        self.shared.ledger.admitted.add(priority.criticality());
        Verdict::Admit(priority.criticality())
    }

    #[inline]
    fn finish(&self, _: Criticality, _: &Outcome) {}

    fn revoke(&self, criticality: Criticality, _: Instant, _: Instant) {
        self.shared.ledger.admitted.take_back(criticality);
    }

    #[inline]
    fn interests(&self, _: Interests) -> Interests {
        Interests::NONE.with_announce(self.announced)
    }

    #[inline]
    fn announce(&self, _: &Criticality, _: Instant, out: &mut Announcement<'_>) {
        if self.announced {
            out.threshold(self.shared.ramp().threshold(self.shared.signal.load()));
        }
    }
}

impl<L, R> fmt::Debug for LoadShed<L, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadShed")
            .field("ramp", &self.shared.ramp())
            .finish_non_exhaustive()
    }
}
