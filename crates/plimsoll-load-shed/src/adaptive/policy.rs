//! The policy.

use std::{convert::Infallible, fmt, sync::Arc, time::Duration};

use plimsoll_core::{
    Announcement, ByExtension, Class, Criticality, LoadSignal, Outcome, Policy, Prioritize,
    Priority, Rejection, Verdict,
};
use tokio::time::Instant;

use super::{handle::AdaptiveShedHandle, shared::Shared};
use crate::InvalidLoadShed;

/// The policy's name in rejections.
const NAME: &str = "adaptive-shed";

/// Sheds as much as is too much, least important first, whatever is offered and by whom.
///
/// [`LoadShed`](crate::LoadShed) turns a load into a threshold and has to be told at which load how much is shed. This
/// one only has to be told the line, a load of 1, and finds the threshold that keeps the service there.
///
/// # How
///
/// Time is cut into windows of 5 ms ([`window`](Self::window)). The request that comes when one is over closes it, and no other waits
/// for that. At its end
///
/// - the signal says whether the service is over the line. If so it is busy, and what it gets done is its **capacity**. That is
///   learned from samples of 100 answers (or of a second, where there are fewer): what is no chance is believed at once, and otherwise it
///   is smoothed over some 500 answers;
/// - the **budget** from now on is that capacity, less 10 % of it for each 1 of load beyond the line (90 % at most), so that what has
///   piled up is worked off. Under the line it is up to 10 % more, and the longer the service stays there the more is tried: 5 % after
///   a second, 30 % after two, twice as much after three. So a service that can do more gets to show it, and what
///   it then does is its capacity;
/// - the **threshold** through the 512 [levels](Priority::level) is put so that what arrives above it fills the budget. It goes by
///   what *arrived* of each level, shed or not: a history of what was admitted would move up with the threshold that
///   it sets. Changes that are no chance are believed at once, and otherwise it is smoothed over thousands of requests.
///
/// Work that was refused downstream ([`Class::Overloaded`]) or that nobody waited for ([`Class::Cancelled`]) is not done. At least
/// 0.5 % of what arrives passes, and the top level always does: there is always something to learn from. When the budget is a
/// tenth more than what arrives, nothing is shed any more.
///
/// Limits per caller belong before it in the stack: requests that a later policy or an inner gate rejects take their share of
/// the budget, which a quota's rejections would leave unused.
///
/// So the cut is quick, some tens of milliseconds, and the way back slow at first and then quicker. DAGOR (`SoCC` 2018) takes a
/// twentieth off what it admitted, each second, which is 48 seconds for twelve times too much; PI controllers (Uber's Cinnamon) need gains
/// that fit the service's times. Here the measured throughput is in the place of both.
/// [docs/shedding.md](https://github.com/plimsoll-rs/plimsoll/blob/main/docs/shedding.md) has the figures of the three, on the same signal, and
/// how to get them.
///
/// # Cohorts
///
/// As at [`LoadShed`](crate::LoadShed): all requests of one user share a fate. A request without a cohort gets one
/// drawn. Within the one level that the threshold goes through, requests are shed by lot, so that it is exact even if
/// one level is a good part of the traffic.
///
/// # Which signal
///
/// One that goes beyond 1 when there is more to do than can be done, and falls when less is let in: best a
/// [`QueueDelay`](crate::QueueDelay), with [`relative`](crate::QueueDelay::relative) where no objective is given. Requests in flight and queued over a limit do as well. With a limit that has no queue, 1 is all
/// there ever is, which is enough to hold the line but says nothing about how far beyond it the traffic is. A value that is not a number reads as 0.
///
/// # Cost
///
/// A random number if the request has no cohort, three counters, and two atomics that are read. The 512 counts are spread over 32
/// cache lines. Nothing is held, nothing waits, and the window is closed under a lock that is only tried.
///
/// # Example
///
/// ```
/// use plimsoll_core::GateLayer;
/// use plimsoll_load_shed::{AdaptiveShed, QueueDelay};
///
/// # let concurrency = ();
/// let delay = QueueDelay::relative();
/// let shed = AdaptiveShed::new(delay.clone());
/// let handle = shed.handle();
/// // The delay is told what requests waited for the concurrency limit behind it.
/// let layer = GateLayer::new((delay, shed, concurrency));
/// assert_eq!((handle.threshold(), handle.budget()), (0, None));
/// # let _: GateLayer<_> = layer;
/// ```
pub struct AdaptiveShed<L, R = ByExtension> {
    shared: Arc<Shared<L>>,
    priorities: R,
    told: bool,
}

impl<L: LoadSignal> AdaptiveShed<L> {
    /// Keeps `signal` at 1, with the priority in the extensions of HTTP requests ([`ByExtension`]), windows of 5 ms and a
    /// retry hint of 1 second.
    pub fn new(signal: L) -> Self {
        Self {
            shared: Arc::new(Shared::new(signal)),
            priorities: ByExtension,
            told: false,
        }
    }
}

impl<L, R> AdaptiveShed<L, R> {
    /// Tells priorities otherwise: [`ByHeader`](plimsoll_core::ByHeader), [`Same`](plimsoll_core::Same), or a closure
    /// `Fn(&Req) -> Priority`.
    pub fn priorities<Q>(self, priorities: Q) -> AdaptiveShed<L, Q> {
        AdaptiveShed {
            shared: self.shared,
            priorities,
            told: self.told,
        }
    }

    /// Closes windows after this time. 5 ms unless set. Longer ones cost less and see a storm later.
    ///
    /// # Errors
    ///
    /// When it is less than 1 ms or more than 1 minute.
    pub fn window(self, window: Duration) -> Result<Self, InvalidLoadShed> {
        self.shared.set_window(window)?;
        Ok(self)
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
    ///
    /// What callers hold back does not arrive. So levels below the line are then remembered for some ten seconds, for else the
    /// line would fall because nobody crosses it.
    #[must_use]
    pub fn tell_callers(mut self) -> Self {
        self.told = true;
        self
    }

    /// Reads and changes this policy while it works.
    pub fn handle(&self) -> AdaptiveShedHandle<L> {
        AdaptiveShedHandle::new(Arc::clone(&self.shared))
    }

    #[cold]
    fn reject(&self, priority: Priority, threshold: u16) -> Rejection {
        let threshold = self.told.then_some(threshold);
        let ledger = &self.shared.ledger;
        ledger.reject(NAME, priority.criticality(), threshold)
    }
}

impl<Req, L, R> Policy<Req> for AdaptiveShed<L, R>
where
    L: LoadSignal + Send + Sync,
    R: Prioritize<Req>,
{
    type Permit = Criticality;
    plimsoll_core::decides_at_once!(Req);

    #[inline]
    fn admit(&self, req: &mut Req, now: Instant) -> Verdict<Criticality, Infallible> {
        let priority = self.priorities.priority(req).or_drawn();
        self.shared.arrivals.add(priority.level());
        self.shared.tick(now, self.told);
        let cut = self.shared.cut();
        if cut.sheds(priority.level()) {
            return Verdict::Reject(self.reject(priority, cut.level()));
        }
        self.shared.ledger.admitted.add(priority.criticality());
        Verdict::Admit(priority.criticality())
    }

    #[inline]
    fn finish(&self, _: Criticality, outcome: &Outcome) {
        if matches!(
            outcome.class,
            Class::Success | Class::Failure | Class::Ignored
        ) {
            self.shared.done.add();
        }
    }

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
            out.threshold(self.shared.cut().level());
        }
    }
}

impl<L, R> fmt::Debug for AdaptiveShed<L, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdaptiveShed")
            .field("threshold", &self.shared.cut().level())
            .finish_non_exhaustive()
    }
}
