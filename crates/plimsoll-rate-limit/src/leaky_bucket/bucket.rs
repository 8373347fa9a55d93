//! `LeakyBucket`: the policy and its settings.

use std::{fmt, sync::Arc, time::Duration};

use plimsoll_core::{GateLayer, Http, InvalidKeyed, Keyed, Missing};
use tokio::time::Instant;

use super::{
    handle::LeakyBucketHandle,
    settings::{InvalidLeakyBucket, Settings},
    state::State,
};
use crate::One;

/// Admits requests one at a time, an interval apart. Requests that arrive too early are queued.
///
/// This is the leaky bucket as a queue (a shaper; Turner 1986, "leaky queue" in Sentinel). A token
/// bucket is a meter: it rejects. Use the leaky bucket for a downstream API that allows ten calls
/// per second and penalises the eleventh, or for work that must be spread out in time.
///
/// # Algorithm
///
/// The state is the time of the next departure. A request that arrives at or after it departs at
/// once, and moves it forward by one interval. An earlier request is queued, first in, first out.
/// No request overtakes the queue.
///
/// A request is rejected at once, with [`OverQuota`](plimsoll_core::Kind::OverQuota) and the exact
/// time until there is room, when the queue [is full](Self::max_waiting) or its wait would be [too
/// long](Self::max_wait). It is rejected with [`Deadline`](plimsoll_core::Kind::Deadline) when its
/// [deadline](Self::deadlines) is before its departure.
///
/// # Timing
///
/// Departures follow the schedule, not the time at which a task was woken. So the average rate is
/// exact, however late timers fire. tokio's timers fire on the millisecond: departures within one
/// millisecond happen together, at its end. Rates above 1,000 per second are kept this way. After a
/// runtime was blocked, all departures that are due happen together.
///
/// # Rejections by other policies, cancellation
///
/// When a queued request is cancelled, the requests behind it move up. The same holds for a request
/// that is cancelled as it is admitted, or rejected by a later policy, unless another request has
/// departed since: then an earlier departure would be too close to that one. A response future that
/// is neither polled nor dropped departs on schedule and does not delay others.
///
/// # Cost
///
/// With an empty queue: one compare-and-swap, no lock. A rejected request reads a few atomics. A
/// queued request has its own timer and takes a lock while it links an entry of a list. The queue's
/// memory grows on first use, by one small entry per queued request.
///
/// # Shared state and cloning
///
/// The state lives in this value. All services that the layer makes share it.
///
/// # Panics
///
/// The policy does not panic. A queued request creates a [`tokio::time::Sleep`], which panics
/// outside of a tokio runtime with its timer enabled.
///
/// # Example
///
/// ```
/// use std::time::Duration;
///
/// use axum::{Router, routing::get};
/// use plimsoll_core::{Deadlines, GateLayer};
/// use plimsoll_rate_limit::LeakyBucket;
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     // One request per 100 ms. Up to 20 requests are queued, for at most a second.
///     let bucket = LeakyBucket::new(10, Duration::from_secs(1))?
///         .max_waiting(20)?
///         .max_wait(Duration::from_secs(1))?
///         .deadlines(Deadlines::new());
///     let app = Router::<()>::new()
///         .route("/", get(|| async { "hello" }))
///         .layer(GateLayer::new(bucket));
///     Ok(())
/// }
/// ```
#[doc(alias("traffic shaping", "smoothing", "throttle"))]
pub struct LeakyBucket<C = One, D = ()> {
    pub(super) state: Arc<State>,
    pub(super) cost: Arc<C>,
    pub(super) deadlines: Arc<D>,
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
    /// The name of this policy in its rejections.
    pub const NAME: &'static str = "leaky-bucket";

    /// Admits `count` requests per `period`, evenly spaced.
    ///
    /// By default up to 1,024 requests are queued, for at most 500 ms or one interval, whichever is
    /// longer.
    ///
    /// # Errors
    ///
    /// When the count or the period is zero, the period is more than 365 days, or the rate is more
    /// than one per nanosecond.
    pub fn new(count: u32, period: Duration) -> Result<Self, InvalidLeakyBucket> {
        Ok(Self {
            state: Arc::new(State::new(Arc::new(Settings::new(count, period)?))),
            cost: Arc::new(One),
            deadlines: Arc::new(()),
        })
    }
}

impl<C, D> LeakyBucket<C, D> {
    /// Sets the maximum number of queued requests.
    ///
    /// # Errors
    ///
    /// When it is 0 or more than 2^20.
    pub fn max_waiting(self, requests: usize) -> Result<Self, InvalidLeakyBucket> {
        self.state.settings.set_max_waiting(requests)?;
        Ok(self)
    }

    /// Sets the maximum time in the queue. A request that would wait longer is rejected on arrival.
    ///
    /// # Errors
    ///
    /// When it is zero or more than 1 hour.
    pub fn max_wait(self, wait: Duration) -> Result<Self, InvalidLeakyBucket> {
        self.state.settings.set_max_wait(wait)?;
        Ok(self)
    }

    /// Sets how many intervals a request takes: the next request departs that much later.
    ///
    /// A request that costs 0 departs at once and takes nothing. A request that costs more than the
    /// count (a whole period) is rejected, without a `Retry-After`.
    pub fn cost<W>(self, cost: W) -> LeakyBucket<W, D> {
        LeakyBucket {
            state: self.state,
            cost: Arc::new(cost),
            deadlines: self.deadlines,
        }
    }

    /// Rejects a request on arrival if its deadline is before its departure.
    ///
    /// The deadline is only read for requests that would be queued.
    pub fn deadlines<E>(self, deadlines: E) -> LeakyBucket<C, E> {
        LeakyBucket {
            state: self.state,
            cost: self.cost,
            deadlines: Arc::new(deadlines),
        }
    }

    /// Makes this bucket one per key, for up to `capacity` keys.
    ///
    /// Each key has its own schedule and queue; all keys share settings and counters. See [`Keyed`]
    /// for keys beyond the capacity.
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

    /// Returns the wait of a request that arrives at `now`. In a cell: of a request of its key.
    pub fn turn_in(&self, now: Instant) -> Duration {
        let now = self.nanos(now);
        Duration::from_nanos(self.state.departs_at(now) - now)
    }

    /// Returns the handle that reads and changes this bucket at run time. It is a load signal.
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
