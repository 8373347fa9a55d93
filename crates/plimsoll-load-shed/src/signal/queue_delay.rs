//! How long requests wait before they run.

use std::{convert::Infallible, sync::Arc, time::Duration};

use plimsoll_core::{Epoch, LoadSignal, Outcome, Policy, Verdict};
use tokio::time::Instant;

use super::delay::objective;
use crate::{
    InvalidLoadShed,
    sync::{
        AtomicU64, Mutex,
        Ordering::{Acquire, Relaxed, Release},
    },
};

/// The length of an interval, in nanoseconds.
const INTERVAL: u64 = 100_000_000;
/// So long the last load stands when no delay is told.
const STANDS: u64 = 10 * INTERVAL;
/// No delay was told.
const NONE: u64 = u64::MAX;

/// How long requests wait in queues, over an objective: 1 when they wait as long as they may. Clones are one.
///
/// Of all signals the best for a service (DAGOR, `SoCC` 2018): it is there before answers get slow, and it is not fooled by
/// a slow dependency, as latency is, or by locks, as CPU is. The load is that of the last interval of 100 ms;
/// one in which nothing was told leaves it as it was, for a second at most.
///
/// # Mean or lowest
///
/// [`mean`](Self::mean) is DAGOR's figure, with an objective of 20 ms there. It fits every order in which a queue is served.
/// [`lowest`](Self::lowest) is `CoDel`'s, with 5 ms there: it overlooks a burst that is worked off within the interval, but
/// only a queue that is first in, first out shows it. Behind one that serves the newest or the most important first somebody
/// always waits for next to nothing.
///
/// # How it is told
///
/// As a policy, in one stack with the limit that makes requests wait, it is told [`Outcome::waited`] when they end; let it
/// stand before what sheds, since it needs to see the time pass. So it is late by as long as requests run. Who knows sooner, where
/// an entry leaves the queue, tells it with [`record`](Self::record). Requests that gave up waiting tell
/// nothing.
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
pub struct QueueDelay(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Seconds.
    objective: f64,
    lowest: bool,
    /// Nanoseconds of delay, and delays, ever.
    sum: AtomicU64,
    count: AtomicU64,
    /// Nanoseconds, or [`NONE`].
    least: AtomicU64,
    epoch: Epoch,
    /// When the interval ends.
    due: AtomicU64,
    /// What was there when the interval began.
    before: Mutex<Before>,
    /// The bits of the load.
    load: AtomicU64,
}

#[derive(Debug, Default)]
struct Before {
    sum: u64,
    count: u64,
    /// When the last delay was told, at the latest.
    told: u64,
}

impl QueueDelay {
    /// By the mean delay: 1 when requests wait `objective` on average.
    ///
    /// # Errors
    ///
    /// When the objective is less than 1 microsecond or more than 1 hour.
    pub fn mean(objective: Duration) -> Result<Self, InvalidLoadShed> {
        Self::new(objective, false)
    }

    /// By the lowest delay: 1 when every request waits `objective` at least.
    ///
    /// # Errors
    ///
    /// When the objective is less than 1 microsecond or more than 1 hour.
    pub fn lowest(objective: Duration) -> Result<Self, InvalidLoadShed> {
        Self::new(objective, true)
    }

    fn new(stated: Duration, lowest: bool) -> Result<Self, InvalidLoadShed> {
        Ok(Self(Arc::new(Inner {
            objective: objective(stated)?,
            lowest,
            sum: AtomicU64::new(0),
            count: AtomicU64::new(0),
            least: AtomicU64::new(NONE),
            epoch: Epoch::new(),
            due: AtomicU64::new(INTERVAL),
            before: Mutex::new(Before::default()),
            load: AtomicU64::new(0),
        })))
    }

    /// A request that has waited for this long leaves the queue.
    pub fn record(&self, waited: Duration, now: Instant) {
        self.0.tick(now);
        self.0.record(waited);
    }
}

impl Inner {
    #[inline]
    fn record(&self, waited: Duration) {
        let nanos = waited.as_nanos().min(u128::from(u32::MAX) * 1_000_000) as u64;
        self.sum.fetch_add(nanos, Relaxed);
        if self.lowest {
            self.least.fetch_min(nanos, Relaxed);
        }
        // Last, so that whoever counts it also finds what it waited.
        self.count.fetch_add(1, Release);
    }

    /// Ends the interval if it is time; whoever comes while another does, goes on.
    #[inline]
    fn tick(&self, now: Instant) {
        let nanos = self.epoch.nanos(now);
        if nanos >= self.due.load(Acquire) {
            self.end(nanos);
        }
    }

    #[cold]
    #[inline(never)]
    fn end(&self, nanos: u64) {
        let Ok(mut before) = self.before.try_lock() else {
            return;
        };
        if nanos < self.due.load(Acquire) {
            return;
        }
        let (count, sum) = (self.count.load(Acquire), self.sum.load(Relaxed));
        let delays = count.wrapping_sub(before.count);
        if delays > 0 {
            let delay = if self.lowest {
                match self.least.swap(NONE, Relaxed) {
                    NONE => 0.0,
                    least => least as f64,
                }
            } else {
                sum.wrapping_sub(before.sum) as f64 / delays as f64
            };
            self.show(delay / 1e9 / self.objective);
            *before = Before {
                sum,
                count,
                told: nanos,
            };
        } else if nanos.saturating_sub(before.told) >= STANDS {
            self.show(0.0);
        }
        self.due.store(nanos + INTERVAL, Release);
    }

    fn show(&self, load: f64) {
        self.load.store(load.to_bits(), Relaxed);
    }
}

impl LoadSignal for QueueDelay {
    #[inline]
    fn load(&self) -> f64 {
        f64::from_bits(self.0.load.load(Relaxed))
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
        self.0.record(outcome.waited());
    }

    #[inline]
    fn revoke(&self, (): (), _: Instant, _: Instant) {}

    #[inline]
    fn reads_latency(&self) -> bool {
        false
    }

    #[inline]
    fn announces(&self) -> bool {
        false
    }
}
