//! The policy of adaptive load shedding.

use std::{convert::Infallible, fmt, sync::Arc, time::Duration};

use plimsoll_core::{
    ByExtension, Class, Criticality, LoadSignal, Outcome, Policy, Priority, Rejection,
    policy::{Announcement, Interests, Prioritize, Verdict},
};
use tokio::time::Instant;

use super::{handle::AdaptiveShedHandle, shared::Shared};
use crate::InvalidAdaptiveShed;

/// The policy's name in rejections.
pub(super) const NAME: &str = "adaptive-shed";

/// Sheds the excess load, least important requests first, and keeps a load signal at 1.
///
/// [`LoadShed`](crate::LoadShed) needs two loads between which it sheds. This policy finds the
/// threshold by itself.
///
/// # How it works
///
/// Time is divided into windows of 5 ms ([`window`](Self::window)). The first request after the end of
/// a window closes it, and no other request waits for that. At the end of a window
///
/// - the **capacity** is the throughput while the signal is at 1 or more, since the service is busy
///   then. It is estimated from samples of 100 responses (or of one second at low rates): a change
///   beyond random noise is followed at once, others are smoothed over about 500 responses;
/// - the **budget** is the capacity, less 10 % for each 1 of load above 1 (at most 90 %), so that
///   queued work is worked off. At a load below 1 it is up to 10 % more, and grows with time: by 9 %
///   after one second, 30 % after two, 100 % after three. A service that can do more then shows it;
/// - the **threshold** among the 512 [levels](Priority::level) is set so that the arrivals above it
///   fill the budget. It counts *arrivals*, shed or not: a history of admitted requests would move up
///   with the threshold that it sets. A change beyond random noise is followed at once, others are
///   smoothed over thousands of requests.
///
/// At least 0.5 % of the arrivals are admitted, and the top level always is, so that the capacity can
/// be measured. Once the budget exceeds the arrivals by 10 %, nothing is shed.
///
/// The threshold rises within some tens of milliseconds, and falls slowly at first and then faster.
/// DAGOR (`SoCC` 2018) reduces the admitted rate by 5 % per second, which is 48 seconds for twelve
/// times the capacity; PI controllers (Uber's Cinnamon) need gains that fit the service's times.
/// [docs/shedding.md](https://github.com/plimsoll-rs/plimsoll/blob/main/docs/shedding.md) compares the
/// three on the same signal.
///
/// # Work done
///
/// Each call that ran counts as one request done, whatever its response, also when its caller left
/// before the end ([`Class::Cancelled`]): the budget counts requests, and such a call was one of
/// them and held a slot or a worker. Were it left out, callers that leave early would lower the
/// capacity estimate while the slots are idle. Rejections by the service ([`Class::Overloaded`]) or by
/// an inner gate are not work.
///
/// Place limits per caller before this policy: requests that a later policy or an inner gate rejects
/// use the budget, and a quota's rejections would leave that part of the capacity unused.
///
/// # Cohorts
///
/// As with [`LoadShed`](crate::LoadShed), all requests of one user are admitted or shed together. A
/// request without a cohort gets a random one. Within the threshold's own level requests are shed at
/// random, so that the budget is met even when one level is a large part of the traffic.
///
/// # Which signal
///
/// A signal that exceeds 1 under overload and falls when fewer requests are admitted. Best is a
/// [`QueueDelay`](crate::QueueDelay), with [`relative`](crate::QueueDelay::relative) where no objective
/// is given. Requests in flight and queued over a limit work, too. Over a limit without a queue they
/// never exceed 1, which holds the load there and does not show the excess. NaN reads as 0.
///
/// # Cost
///
/// A random number if the request has no cohort, three counters, and two atomic loads. The 512 counts
/// take 32 cache lines. A request holds no lock: the window is closed under a lock that is only tried.
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
/// // As a policy, the delay measures how long requests waited for the concurrency limit.
/// let layer = GateLayer::new((delay, shed, concurrency));
/// assert_eq!((handle.threshold(), handle.budget()), (0, None));
/// # let _: GateLayer<_> = layer;
/// ```
#[doc(alias("load shedding", "overload", "backpressure", "503"))]
pub struct AdaptiveShed<L, R = ByExtension> {
    shared: Arc<Shared<L>>,
    priorities: R,
    told: bool,
}

impl<L: LoadSignal> AdaptiveShed<L> {
    /// Keeps `signal` at 1.
    ///
    /// The priority is read from the extensions of HTTP requests ([`ByExtension`]), windows are 5 ms
    /// long, and the retry hint is 1 second.
    pub fn new(signal: L) -> Self {
        Self {
            shared: Arc::new(Shared::new(signal)),
            priorities: ByExtension,
            told: false,
        }
    }
}

impl<L, R> AdaptiveShed<L, R> {
    /// Sets how priorities are read: [`ByHeader`](plimsoll_core::ByHeader),
    /// [`Same`](plimsoll_core::Same), or a closure `Fn(&Req) -> Priority`.
    pub fn priorities<Q>(self, priorities: Q) -> AdaptiveShed<L, Q> {
        AdaptiveShed {
            shared: self.shared,
            priorities,
            told: self.told,
        }
    }

    /// Sets the length of windows; 5 ms by default. Longer ones cost less and detect overload later.
    ///
    /// # Errors
    ///
    /// When it is less than 1 ms or more than 1 minute.
    pub fn window(self, window: Duration) -> Result<Self, InvalidAdaptiveShed> {
        self.shared.set_window(window)?;
        Ok(self)
    }

    /// Sets the retry hint of rejections, before the protocol's jitter; 1 second by default.
    ///
    /// # Errors
    ///
    /// When it is zero or more than 1 day.
    pub fn retry_after(self, hint: Duration) -> Result<Self, InvalidAdaptiveShed> {
        self.shared.ledger.retry_after.set(hint)?;
        Ok(self)
    }

    /// Announces the threshold on every response, so that callers shed early; off by default.
    ///
    /// It is written to the header [`THRESHOLD`](plimsoll_core::wire::THRESHOLD) and to the trailers of
    /// gRPC, and read by `Downstream` of `plimsoll-client`. Requests that callers hold back do not
    /// arrive, so arrivals below the threshold are then kept for about ten seconds. Without that
    /// the threshold would fall for lack of such arrivals.
    #[must_use]
    pub fn announce_threshold(mut self) -> Self {
        self.told = true;
        self
    }

    /// Returns a handle that reads and changes this policy at run time.
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
            // As in the concurrency limit, a cancelled call is work: it held a slot.
            Class::Success | Class::Failure | Class::Ignored | Class::Cancelled
        ) {
            self.shared.done.add();
        }
    }

    fn revoke(&self, criticality: Criticality, _: Instant, _: Instant) {
        self.shared.ledger.admitted.take_back(criticality);
    }

    #[inline]
    fn interests(&self, _: Interests) -> Interests {
        Interests::NONE.with_announce(self.told)
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
