//! The guard that ends every permit exactly once.

use std::{fmt, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::Shared;
use crate::{
    Announcement, Class, End, Interests, Outcome, Policy, Spent, WaitsOn, epoch, outcome::NO_HEAD,
    panics,
};

/// A permit in flight, as a [`Protocol`](crate::protocol::Protocol) sees it.
///
/// Dropping an unsettled permit cancels the call: the policy receives [`Class::Cancelled`], or
/// [`Class::Failure`] when the thread is unwinding from a panic.
pub trait Hold: Send + 'static {
    /// The protocol of the gate that the permit belongs to.
    type Protocol;
    /// Returns the protocol of the gate that the permit belongs to.
    fn protocol(&self) -> &Self::Protocol;
    /// Returns which of [`announce`](Self::announce) and [`body_waits`](Self::body_waits) the policy
    /// needs, and whether it reads the latency. Only what is `asked` is valid.
    fn interests(&self, asked: Interests) -> Interests {
        _ = asked;
        Interests::ALL
    }
    /// Lets the policy write to the head, or to the trailers, of an accepted response.
    fn announce(&self, out: &mut Announcement<'_>);
    /// Records that the service has answered: stops the latency clock, and the response [waits for
    /// the caller](WaitsOn::Caller).
    fn head(&mut self);
    /// Reports which side the response body waits for.
    fn body_waits(&mut self, on: WaitsOn) {
        _ = on;
    }
    /// Reports how long a failed or overloaded answer asks its callers to wait. Does nothing by
    /// default.
    fn asked_to_wait(&self, wait: Duration) {
        _ = wait;
    }
    /// Ends the permit with the class of the call.
    fn settle(mut self, class: Class)
    where
        Self: Sized,
    {
        self.settle_spent(class.into(), Spent::default());
    }
    /// Ends the permit with the end of the call and what the call spent. After that, only drop it.
    ///
    /// Performance: takes `&mut self`, because moving a permit costs more than settling it.
    fn settle_spent(&mut self, end: End, spent: Spent);
}

/// The permit of one request: an `Arc` of the state that a layer's gates share, and the policy's
/// plain data.
///
/// Calls [`Policy::finish`] exactly once, whatever happens to the request: response, error, panic,
/// dropped future, or dropped body.
pub struct Held<P: Policy<Req>, T, Req> {
    shared: Arc<Shared<P, T>>,
    /// `None` once the permit has ended.
    run: Option<Run<P::Permit>>,
}

/// A permit and its times.
///
/// Performance: one `Option` around all of it, since `Instant` has a niche and most permits have
/// none.
struct Run<Permit> {
    permit: Permit,
    /// When the inner service was called.
    started: Instant,
    /// Nanoseconds from the call to the head, or [`NO_HEAD`].
    latency: u64,
    /// Microseconds in queues, capped at `u32::MAX` (71 minutes).
    waited_micros: u32,
}

impl<P: Policy<Req>, T, Req> Held<P, T, Req> {
    /// A permit whose call starts now, without a wait. `noted` is the number of requests without a
    /// key that this thread had [noted](crate::key::noted) before the decision.
    ///
    /// Performance: always inlined, since a call would copy the permit (`instructions`,
    /// `rate-limit@accept`).
    #[inline(always)]
    #[allow(clippy::inline_always)]
    pub(crate) fn running(
        shared: Arc<Shared<P, T>>,
        permit: P::Permit,
        now: Instant,
        noted: u32,
    ) -> Self {
        // Performance: one test for both reports, and no further one without an observer
        // (`instructions`, `concurrency@accept`).
        if shared.observer.is_some() {
            shared.observer.admitted_at_once(noted);
        }
        Self::new(shared, permit, now, 0)
    }

    /// A permit whose call starts now, after a wait.
    pub(super) fn waited(
        shared: Arc<Shared<P, T>>,
        permit: P::Permit,
        now: Instant,
        waited: Duration,
    ) -> Self {
        let micros = u32::try_from(waited.as_micros()).unwrap_or(u32::MAX);
        Self::new(shared, permit, now, micros)
    }

    #[inline(always)]
    #[allow(clippy::inline_always)] // as `running`
    fn new(
        shared: Arc<Shared<P, T>>,
        permit: P::Permit,
        started: Instant,
        waited_micros: u32,
    ) -> Self {
        let run = Some(Run {
            permit,
            started,
            latency: NO_HEAD,
            waited_micros,
        });
        Self { shared, run }
    }

    /// Performance: inlined, so that the compiler drops the reads that no policy needs. What counts
    /// is a leaf out of line, which saves no register (`instructions`, `concurrency@accept`,
    /// `concurrency-metrics@accept`).
    #[inline(always)]
    #[allow(clippy::inline_always)]
    fn finish(&mut self, end: End, spent: Spent) {
        let observer = &self.shared.observer;
        let is_usual =
            |run: &Run<_>| !observer.observes_each() || observer.counts(end, run.latency);
        if !self.run.as_ref().is_some_and(is_usual) {
            self.finish_in_full(end, spent);
        } else if let Some(run) = self.run.take() {
            let outcome = run.outcome(end, spent);
            self.shared.policy.finish(run.permit, &outcome);
        }
    }

    /// Performance: out of line, so that only this form keeps the outcome in memory
    /// (`instructions`, `gate-metrics@accept`).
    #[cold]
    #[inline(never)]
    fn finish_in_full(&mut self, end: End, spent: Spent) {
        let Some(run) = self.run.take() else {
            return;
        };
        let outcome = run.outcome(end, spent);
        // The observer first, so that a panic of the policy does not hide the event.
        self.shared.observer.finished(&outcome);
        self.shared.policy.finish(run.permit, &outcome);
    }

    /// Ends a permit that was not settled.
    ///
    /// Performance: out of line, so that dropping a settled permit is one test.
    #[cold]
    #[inline(never)]
    pub(super) fn cut_off(&mut self) {
        panics::in_drop(|| self.finish(Class::cut_off().into(), Spent::default()));
    }
}

impl<Permit> Run<Permit> {
    #[inline]
    fn outcome(&self, end: End, spent: Spent) -> Outcome {
        Outcome::ending_now(end, spent, self.waited_micros, self.started, self.latency)
    }
}

impl<P, T, Req> Hold for Held<P, T, Req>
where
    P: Policy<Req> + 'static,
    T: Send + Sync + 'static,
    Req: 'static,
{
    type Protocol = T;

    #[inline]
    fn protocol(&self) -> &T {
        &self.shared.protocol
    }

    #[inline]
    fn interests(&self, asked: Interests) -> Interests {
        self.shared.policy.interests(asked)
    }

    #[inline]
    fn announce(&self, out: &mut Announcement<'_>) {
        if let Some(run) = &self.run {
            self.shared.policy.announce(&run.permit, run.started, out);
        }
    }

    #[inline]
    fn head(&mut self) {
        // Performance: a clock read is a large part of a gate's cost. Skip it when no policy and no
        // observer reads the latency (`instructions`, `gate@accept`).
        const READ: Interests = Interests::LATENCY.union(Interests::BODY_WAITS);
        let interests = self.shared.policy.interests(READ);
        if interests.latency() || self.shared.observer.observes_each() {
            if let Some(run) = &mut self.run {
                run.latency = epoch::nanos_between(run.started, Instant::now());
                if interests.latency() {
                    self.shared.policy.answered(&mut run.permit);
                }
            }
        }
        // Performance: here, while the permit is in place. An atomic operation later makes the
        // compiler move the response once more (`instructions`, `concurrency@accept`).
        if interests.body_waits() {
            self.body_waits(WaitsOn::Caller);
        }
    }

    #[inline]
    fn body_waits(&mut self, on: WaitsOn) {
        if let Some(run) = &mut self.run {
            self.shared.policy.body_waits(&mut run.permit, on);
        }
    }

    #[cold]
    fn asked_to_wait(&self, wait: Duration) {
        if let Some(run) = &self.run {
            let policy = &self.shared.policy;
            policy.asked_to_wait(&run.permit, wait, Instant::now());
        }
    }

    #[inline(always)]
    #[allow(clippy::inline_always)] // as `finish`
    fn settle_spent(&mut self, end: End, spent: Spent) {
        self.finish(end, spent);
    }
}

impl<P: Policy<Req>, T, Req> Drop for Held<P, T, Req> {
    #[inline]
    fn drop(&mut self) {
        if self.run.is_some() {
            self.cut_off();
        }
    }
}

impl<P: Policy<Req>, T, Req> fmt::Debug for Held<P, T, Req> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held")
            .field("started", &self.run.as_ref().map(|run| run.started))
            .finish_non_exhaustive()
    }
}
