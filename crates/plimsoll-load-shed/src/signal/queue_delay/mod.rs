//! How long requests wait before they run.

mod intervals;

use std::{convert::Infallible, sync::Arc, time::Duration};

use plimsoll_core::{Class, LoadSignal, Outcome, Policy, Verdict};
use tokio::time::Instant;

use self::intervals::{Intervals, Objective};
use super::delay::objective;
use crate::InvalidLoadShed;

/// How long requests wait in queues, over an objective: 1 when they wait as long as they may. Clones are one.
///
/// Of all signals the best for a service (DAGOR, `SoCC` 2018): it is there before answers get slow, and it is not fooled by
/// a slow dependency, as latency is, or by locks, as CPU is. The load is that of the last interval. One ends with 20 requests, but
/// after 2 ms at the earliest and 100 ms at the latest; one in which nothing was told leaves the load as it was, for a second
/// at most.
///
/// # Which objective
///
/// [`relative`](Self::relative) needs no number: 1 when requests wait one and a half times as long as they run. That suits a
/// service of 0.2 ms as well as one of half a second, as long as its callers have the patience for a few times what it takes to answer
/// them. It has to know how long they run. Where that is not told, or where callers have so much patience and no more, state the delay:
/// [`mean`](Self::mean) is DAGOR's, with 20 ms there.
///
/// Both are mean delays, and fit every order in which a queue is served. [`lowest`](Self::lowest) is `CoDel`'s, with 5 ms there: it
/// overlooks a burst that is worked off within the interval, but only a queue that is first in, first out shows it. Behind one that
/// serves the newest or the most important first somebody always waits for next to nothing.
///
/// # How it is told
///
/// As a policy, in one stack with the limit that makes requests wait, it is told [`Outcome::waited`] and [`Outcome::latency`] when
/// they end; let it stand before what sheds, since it needs to see the time pass. So it is late by as long as requests run. Who knows
/// sooner, where an entry leaves the queue, tells it with [`record`](Self::record), and with [`record_run`](Self::record_run) what comes
/// after. Use one of the two ways: behind a gate without a queue the policy sees no wait, and its zeros would hide what is recorded.
/// Requests that gave up waiting tell nothing. Calls that were cancelled before the head, or answered with an overload, count with their
/// wait and not with their run, which they did not finish; calls that an inner gate rejected do not count at all.
///
/// ```
/// use std::time::Duration;
/// use plimsoll_core::{GateLayer, Instant, LoadSignal};
/// use plimsoll_load_shed::{LoadShed, QueueDelay};
///
/// # fn main() -> Result<(), plimsoll_load_shed::InvalidLoadShed> {
/// # let concurrency = ();
/// let delay = QueueDelay::mean(Duration::from_millis(20))?;
/// let layer = GateLayer::new((delay.clone(), LoadShed::new(delay.clone()), concurrency));
///
/// let start = Instant::now();
/// delay.record(Duration::from_millis(30), start);
/// delay.record(Duration::from_millis(20), start + Duration::from_millis(100));
/// assert_eq!(delay.load(), 1.5); // that of the first interval
/// # let _: GateLayer<_> = layer;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct QueueDelay(Arc<Intervals>);

/// So many times as long as requests run they may wait. With less, chance alone takes four workers beyond the line; with
/// twice as long it takes longer to notice that a service has become slow.
const RUNS: f64 = 1.5;

impl QueueDelay {
    /// By the mean delay, measured by the service itself: 1 when requests wait one and a half times as long as they run.
    pub fn relative() -> Self {
        Self::new(Objective::Runs(RUNS), false)
    }

    /// By the mean delay: 1 when requests wait `stated` on average.
    ///
    /// # Errors
    ///
    /// When the objective is less than 1 microsecond or more than 1 hour.
    pub fn mean(stated: Duration) -> Result<Self, InvalidLoadShed> {
        Ok(Self::new(Objective::Seconds(objective(stated)?), false))
    }

    /// By the lowest delay: 1 when every request waits `stated` at least.
    ///
    /// # Errors
    ///
    /// When the objective is less than 1 microsecond or more than 1 hour.
    pub fn lowest(stated: Duration) -> Result<Self, InvalidLoadShed> {
        Ok(Self::new(Objective::Seconds(objective(stated)?), true))
    }

    fn new(objective: Objective, lowest: bool) -> Self {
        Self(Arc::new(Intervals::new(objective, lowest)))
    }

    /// A request that has waited for this long leaves the queue.
    pub fn record(&self, waited: Duration, now: Instant) {
        self.0.tick(now);
        self.0.record(waited);
    }

    /// A request has run for this long, what it waited left out. Only [`relative`](Self::relative) makes use of it.
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
            // After the head the run is known, whether the body is read or not.
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
    fn reads_latency(&self) -> bool {
        self.0.is_relative()
    }

    #[inline]
    fn announces(&self) -> bool {
        false
    }
}
