//! The queueing delay of requests, as a signal.

mod intervals;

use std::{convert::Infallible, sync::Arc, time::Duration};

use plimsoll_core::{
    Class, LoadSignal, Outcome, Policy,
    policy::{Interests, Verdict},
};
use tokio::time::Instant;

use self::intervals::{Intervals, Objective};
use super::delay::objective;
use crate::InvalidQueueDelay;

/// How long requests wait in queues, as a signal: the delay over an objective. Clones share the
/// state.
///
/// For a service this is the signal of choice (DAGOR, `SoCC` 2018): it rises before latency does,
/// and neither a slow dependency (as with latency) nor lock contention (as with CPU) misleads it.
/// The load is that of the last interval. An interval ends after 20 requests, but not before 2 ms
/// and not after 100 ms. An interval without a recorded delay keeps the load, for at most one
/// second.
///
/// # Which objective
///
/// [`relative`](Self::relative) needs no number: the load is 1 when requests wait 1.5 times as long
/// as they run. It suits services of 0.2 ms as well as of half a second, if callers accept a few
/// times the service time, and if run times are recorded. In other cases set the delay: DAGOR uses
/// [`mean`](Self::mean) with 20 ms.
///
/// Both are mean delays, and suit every queue order. `CoDel` uses [`lowest`](Self::lowest) with
/// 5 ms: it ignores a burst that is worked off within the interval, but works with a first-in
/// first-out queue only. In a queue served newest first or by priority, some request always waits
/// almost no time.
///
/// # How delays are recorded
///
/// - As a policy, in one stack with the limit that queues: it records [`Outcome::waited`] and
///   [`Outcome::latency`] when a request ends, so the delay is late by one run time. Place it
///   before the shedding policy, since its `admit` also ends intervals.
/// - By hand, where an entry leaves a queue: [`record`](Self::record), and
///   [`record_run`](Self::record_run) for the run time.
///
/// Use one of the two. Behind a gate without a queue the policy records delays of zero, which would
/// hide the recorded ones. Requests that left the queue before a slot was free are not recorded.
/// Calls that were cancelled before the head, or answered with an overload, record their wait and
/// not their run; calls that an inner gate rejected record nothing.
///
/// ```
/// use std::time::Duration;
/// use plimsoll_core::{GateLayer, Instant, LoadSignal};
/// use plimsoll_load_shed::{LoadShed, QueueDelay};
///
/// # fn main() -> Result<(), plimsoll_load_shed::InvalidQueueDelay> {
/// # let concurrency = ();
/// let delay = QueueDelay::mean(Duration::from_millis(20))?;
/// let layer = GateLayer::new((delay.clone(), LoadShed::new(delay.clone()), concurrency));
///
/// let start = Instant::now();
/// delay.record(Duration::from_millis(30), start);
/// delay.record(Duration::from_millis(20), start + Duration::from_millis(100));
/// assert_eq!(delay.load(), 1.5); // the load of the first interval
/// # let _: GateLayer<_> = layer;
/// # Ok(())
/// # }
/// ```
#[doc(alias("CoDel", "queueing delay"))]
#[derive(Debug, Clone)]
pub struct QueueDelay(Arc<Intervals>);

/// Objective of [`QueueDelay::relative`], in mean run times. With a lower value random fluctuation
/// alone sheds at four workers; with twice the value a slowdown is detected later.
const RUNS: f64 = 1.5;

impl QueueDelay {
    /// The mean delay over the measured run time: 1 when requests wait 1.5 times as long as they
    /// run.
    pub fn relative() -> Self {
        Self::new(Objective::Runs(RUNS), false)
    }

    /// The mean delay: 1 when requests wait `stated` on average.
    ///
    /// # Errors
    ///
    /// When the objective is less than 1 microsecond or more than 1 hour.
    pub fn mean(stated: Duration) -> Result<Self, InvalidQueueDelay> {
        Ok(Self::new(
            Objective::Seconds(objective(stated).ok_or(InvalidQueueDelay(stated))?),
            false,
        ))
    }

    /// The lowest delay: 1 when every request waits at least `stated`.
    ///
    /// # Errors
    ///
    /// When the objective is less than 1 microsecond or more than 1 hour.
    pub fn lowest(stated: Duration) -> Result<Self, InvalidQueueDelay> {
        Ok(Self::new(
            Objective::Seconds(objective(stated).ok_or(InvalidQueueDelay(stated))?),
            true,
        ))
    }

    fn new(objective: Objective, lowest: bool) -> Self {
        Self(Arc::new(Intervals::new(objective, lowest)))
    }

    /// Records that a request leaves the queue at `now` after this wait.
    pub fn record(&self, waited: Duration, now: Instant) {
        self.0.tick(now);
        self.0.record(waited);
    }

    /// Records the run time of a request, without its wait. Only [`relative`](Self::relative) uses
    /// it.
    pub fn record_run(&self, ran: Duration) {
        self.0.record_run(ran);
    }
}

impl LoadSignal for QueueDelay {
    #[inline]
    fn load(&self) -> f64 {
        self.0.load()
    }
}

impl<Req> Policy<Req> for QueueDelay {
    type Permit = ();
    plimsoll_core::decides_at_once!(Req);

    #[inline]
    fn admit(&self, _: &mut Req, now: Instant) -> Verdict<(), Infallible> {
        self.0.tick(now);
        Verdict::Admit(())
    }

    #[inline]
    fn finish(&self, (): (), outcome: &Outcome) {
        let done = match outcome.class {
            Class::Success | Class::Failure | Class::Ignored => true,
            // After the head the run time is complete, whether the body is read or not.
            Class::Cancelled => outcome.body_dropped(),
            Class::Overloaded => false,
            _ => return,
        };
        self.0.record(outcome.waited());
        if done && self.0.is_relative() {
            self.0.record_run(outcome.latency());
        }
    }

    #[inline]
    fn revoke(&self, (): (), _: Instant, _: Instant) {}

    #[inline]
    fn interests(&self, _: Interests) -> Interests {
        Interests::NONE.with_latency(self.0.is_relative())
    }
}
