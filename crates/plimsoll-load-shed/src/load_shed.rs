//! The policy.

use std::{convert::Infallible, fmt, sync::Arc, time::Duration};

use plimsoll_core::{
    Announcement, ByExtension, Criticality, LoadSignal, Outcome, Policy, Prioritize, Priority,
    Rejection, Verdict,
};
use tokio::time::Instant;

use crate::{InvalidLoadShed, LoadShedHandle, settings::Shared};

/// The policy's name in rejections.
const NAME: &str = "load-shed";

/// Sheds requests as a load rises, least important first.
///
/// # The map
///
/// Requests have one of 512 [levels](Priority::level): four criticalities of 128 cohorts each. A request is shed when
/// its level is below the threshold, so a level is shed only when all lower ones are. The threshold follows from the load, and
/// from nothing else:
///
/// ```text
/// threshold = 0                                              load <= start
///             min(511, floor(512 * (load - start) / (full - start)))    above
/// ```
///
/// So each criticality has its quarter of the way from `start` to `full`. With the default, 0.8 to 1:
///
/// | load | shed |
/// |---|---|
/// | up to 0.8 | nothing |
/// | 0.8 to 0.85 | a rising part of `SHEDDABLE` |
/// | 0.85 to 0.9 | all of that, and a rising part of `SHEDDABLE_PLUS` |
/// | 0.9 to 0.95 | all of those, and a rising part of `CRITICAL`, which requests are unless they say otherwise |
/// | 0.95 to 1 | all of those, and a rising part of `CRITICAL_PLUS` |
/// | from 1 | everything but the top cohort of `CRITICAL_PLUS` |
///
/// The top level always passes: so a signal that falls only when requests end cannot stay up for lack of them, as
/// long as there are some of that level. Requests that must never be shed (health checks) do not belong here: exempt
/// them with [`When`](plimsoll_core::When).
///
/// # Cohorts
///
/// Within a criticality the cohort decides, so that all requests of one user share a fate, here and in every service that
/// hashes the same key (see [`Priority::cohort_of`]). A request whose cohort nobody set gets a random one each
/// time it is asked about: a threshold alone would shed all of them or none. So the shed part of such traffic is the
/// same as of one that is spread evenly, `(threshold - lowest level) / 128` of the criticality, but without a shared fate.
///
/// # Which signal
///
/// One that falls when less is let in: a queue's [`Depth`](crate::Depth), requests in flight and waiting. It is read for each request. A value that
/// is not a number, or below zero, reads as 0: a broken signal sheds nothing.
///
/// # Cost
///
/// The signal, the priority, and a counter; a division and perhaps a random number while the load is above `start`. Nothing
/// is held, and nothing waits.
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
pub struct LoadShed<L, R = ByExtension> {
    shared: Arc<Shared<L>>,
    priorities: R,
    told: bool,
}

impl<L: LoadSignal> LoadShed<L> {
    /// Sheds by `signal` between the loads 0.8 and 1, with the priority in the extensions of HTTP requests
    /// ([`ByExtension`]) and a retry hint of 1 second.
    pub fn new(signal: L) -> Self {
        Self {
            shared: Arc::new(Shared::new(signal)),
            priorities: ByExtension,
            told: false,
        }
    }
}

impl<L, R> LoadShed<L, R> {
    /// Starts to shed above the load `start`, and sheds all but the top level from `full` on.
    ///
    /// Loads are compared in millionths. With a signal that is a concurrency limit with a queue, 1 is where
    /// requests begin to wait.
    ///
    /// # Errors
    ///
    /// When one is not a number from 0 to 1000, or `full` is not above `start` by at least a millionth.
    pub fn between(self, start: f64, full: f64) -> Result<Self, InvalidLoadShed> {
        self.shared.set_ramp(start, full)?;
        Ok(self)
    }

    /// Tells priorities otherwise: [`ByHeader`](plimsoll_core::ByHeader), [`Same`](plimsoll_core::Same), or a closure
    /// `Fn(&Req) -> Priority`.
    pub fn priorities<Q>(self, priorities: Q) -> LoadShed<L, Q> {
        LoadShed {
            shared: self.shared,
            priorities,
            told: self.told,
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

    /// Tells callers the threshold on every answer, in the header [`THRESHOLD`](plimsoll_core::wire::THRESHOLD) and in the
    /// trailers of gRPC, so that they can shed before they send ([`Downstream`](crate::Downstream) does). Off unless said.
    #[must_use]
    pub fn tell_callers(mut self) -> Self {
        self.told = true;
        self
    }

    /// Reads and changes this policy while it works.
    pub fn handle(&self) -> LoadShedHandle<L> {
        LoadShedHandle::new(Arc::clone(&self.shared))
    }

    #[cold]
    fn refuse(&self, priority: Priority, threshold: u16) -> Rejection {
        let threshold = self.told.then_some(threshold);
        let ledger = &self.shared.ledger;
        ledger.refuse(NAME, priority.criticality(), threshold)
    }
}

/// Whether a request of this priority is below the threshold, its cohort drawn when it has none. Not asked below the
/// ramp, so kept out of the way.
#[inline(never)]
fn is_below(priority: Priority, threshold: u16) -> bool {
    if priority.cohort().is_some() {
        return priority.level() < threshold;
    }
    // How far the threshold is into this criticality: below 0 none of it is shed, from 128 on all of it.
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
            return Verdict::Reject(self.refuse(priority, threshold));
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
    fn reads_latency(&self) -> bool {
        false
    }

    #[inline]
    fn announces(&self) -> bool {
        self.told
    }

    #[inline]
    fn announce(&self, _: &Criticality, _: Instant, out: &mut Announcement<'_>) {
        if self.told {
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
