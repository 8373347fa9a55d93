//! `LeakyBucket`: requests wait, and leave at a constant rate.

mod handle;
mod policy;
mod settings;
mod state;
mod wait;
mod word;

use std::{fmt, sync::Arc, time::Duration};

use plimsoll_core::{GateLayer, Http, InvalidKeyed, Keyed, Missing};
use tokio::time::Instant;

pub use self::{
    handle::LeakyBucketHandle, policy::LeakyBucketPermit, settings::InvalidLeakyBucket,
    wait::LeakyBucketWait,
};
use self::{settings::Settings, state::State};
use crate::One;

/// Lets requests through one at a time, an interval apart: one that comes too early waits its turn.
///
/// The leaky bucket as a queue (a shaper; Turner 1986, and "leaky queue" in Sentinel), where a token bucket is a
/// meter that refuses. Bursts go in, a constant rate comes out: for a partner's interface that allows ten calls a second and
/// punishes the eleventh, or work that is to be spread out.
///
/// # How it decides
///
/// The state is the moment of the next departure. A request that comes later than that leaves at once, and puts it one
/// interval on. One that comes earlier waits, first come first served. Nobody passes the queue.
///
/// It is refused at once, with [`OverQuota`](plimsoll_core::Kind::OverQuota) and the exact time until there would be room,
/// when [as many wait](Self::max_waiting) as may or its own wait would be [too long](Self::max_wait); and with
/// [`Deadline`](plimsoll_core::Kind::Deadline) when its [deadline](Self::deadlines) comes before its turn.
///
/// # Time
///
/// Departures are reckoned on the schedule and not from the moment a task was woken, so the rate holds on average
/// whatever the timer does. tokio's timers fire on the millisecond: those whose turn comes within the same one leave
/// together, at its end. Rates above 1,000 a second are held that way, and a runtime that was busy for longer lets
/// those go together whose time has come meanwhile.
///
/// # Refusals elsewhere, cancelling
///
/// A caller that stops waiting leaves no hole: those behind it move up. The same holds for one that was let go in that
/// very moment, or that a later policy refuses, unless another has left after it: then nobody could leave earlier
/// without leaving too soon after that one. A response future that is neither polled nor dropped leaves in its
/// time all the same, and holds up nobody.
///
/// # Cost
///
/// While nobody has to wait: one compare-and-swap, no lock. A request that is refused reads a few atomics. Only those
/// who wait take a lock, for as long as it takes to link an entry of a list, and have a timer of their own. The
/// queue's memory grows as it is first used, by one small entry for each that waits.
///
/// # Shared state and cloning
///
/// The state lives in this value; the layer shares it among all services it makes.
///
/// # Panics
///
/// Not here; but a request that has to wait makes a [`tokio::time::Sleep`], which panics outside of a tokio runtime with
/// its timer enabled.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use plimsoll_core::{Deadlines, GateLayer};
/// use plimsoll_rate_limit::LeakyBucket;
///
/// // One every 100 ms; up to 20 wait, none for longer than a second.
/// let bucket = LeakyBucket::new(10, Duration::from_secs(1))?
///     .max_waiting(20)?
///     .max_wait(Duration::from_secs(1))?
///     .deadlines(Deadlines::new());
/// let layer = GateLayer::new(bucket);
/// # let _: GateLayer<_> = layer;
/// # Ok::<_, plimsoll_rate_limit::InvalidLeakyBucket>(())
/// ```
pub struct LeakyBucket<C = One, D = ()> {
    state: Arc<State>,
    cost: Arc<C>,
    deadlines: Arc<D>,
}

/// Puts one [`LeakyBucket`] in front of services.
///
/// ```
/// use std::time::Duration;
/// use plimsoll_rate_limit::{LeakyBucket, LeakyBucketLayer};
///
/// let layer: LeakyBucketLayer = LeakyBucketLayer::new(LeakyBucket::new(10, Duration::from_secs(1))?);
/// # Ok::<_, plimsoll_rate_limit::InvalidLeakyBucket>(())
/// ```
pub type LeakyBucketLayer<C = One, D = (), T = Http> = GateLayer<LeakyBucket<C, D>, T>;

impl LeakyBucket {
    /// The name under which this policy refuses.
    pub const NAME: &'static str = "leaky-bucket";

    /// Lets `count` requests per `period` through, evenly spaced. Up to 1,024 may wait, none for longer than 500 ms or the time between two,
    /// unless something else is set.
    ///
    /// # Errors
    ///
    /// When the count or the period is zero, the period is more than 365 days, or the rate more than one per nanosecond.
    pub fn new(count: u32, period: Duration) -> Result<Self, InvalidLeakyBucket> {
        Ok(Self {
            state: Arc::new(State::new(Arc::new(Settings::new(count, period)?))),
            cost: Arc::new(One),
            deadlines: Arc::new(()),
        })
    }
}

impl<C, D> LeakyBucket<C, D> {
    /// How many requests may wait.
    ///
    /// # Errors
    ///
    /// When it is 0 or more than 2^20.
    pub fn max_waiting(self, requests: usize) -> Result<Self, InvalidLeakyBucket> {
        self.state.settings.set_max_waiting(requests)?;
        Ok(self)
    }

    /// How long a request may have to wait: one whose turn would come later is refused when it comes.
    ///
    /// # Errors
    ///
    /// When it is zero or more than 1 hour.
    pub fn max_wait(self, wait: Duration) -> Result<Self, InvalidLeakyBucket> {
        self.state.settings.set_max_wait(wait)?;
        Ok(self)
    }

    /// How many intervals a request takes: the next one leaves that much later. One that costs 0 leaves at once and takes
    /// nothing; one that costs more than the count, a whole period's, is refused, and not told to come back.
    pub fn cost<W>(self, cost: W) -> LeakyBucket<W, D> {
        LeakyBucket {
            state: self.state,
            cost: Arc::new(cost),
            deadlines: self.deadlines,
        }
    }

    /// Refuses requests at once whose deadline comes before their turn. Those that need not wait are not asked.
    pub fn deadlines<E>(self, deadlines: E) -> LeakyBucket<C, E> {
        LeakyBucket {
            state: self.state,
            cost: self.cost,
            deadlines: Arc::new(deadlines),
        }
    }

    /// Makes this bucket one per key, for up to `capacity` keys at a time: each key gets a schedule and a queue of its
    /// own, all share settings and counters. See [`Keyed`] for what becomes of keys beyond the capacity.
    ///
    /// # Errors
    ///
    /// When `capacity` is zero or more than 2^28.
    pub fn per_key<K>(
        self,
        key: K,
        missing: Missing,
        capacity: usize,
    ) -> Result<Keyed<K, Self>, InvalidKeyed>
    where
        C: Send + Sync + 'static,
        D: Send + Sync + 'static,
    {
        Keyed::new(key, missing, capacity, move || Self {
            state: Arc::new(State::new(Arc::clone(&self.state.settings))),
            cost: Arc::clone(&self.cost),
            deadlines: Arc::clone(&self.deadlines),
        })
    }

    /// How long a request would have to wait that came at `now`. (Of a cell: for its key.)
    pub fn turn_in(&self, now: Instant) -> Duration {
        let now = self.nanos(now);
        Duration::from_nanos(self.state.turn(now) - now)
    }

    /// Reads and changes this bucket while it is in use, and tells its load.
    pub fn handle(&self) -> LeakyBucketHandle {
        LeakyBucketHandle(Arc::clone(&self.state))
    }
}

impl<C, D> fmt::Debug for LeakyBucket<C, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let handle = self.handle();
        f.debug_struct("LeakyBucket")
            .field("rate", &handle.rate())
            .field("waiting", &handle.waiting())
            .finish_non_exhaustive()
    }
}
