//! The concurrency limit's type, constructors and settings.

use std::{fmt, sync::Arc, time::Duration};

use plimsoll_core::{Criticality, InvalidKeyed, Keyed, Kind, Missing, Priority, Same};

use super::{
    error::InvalidConcurrencyLimit, handle::ConcurrencyLimitHandle, settings::Settings,
    state::State,
};
use crate::{Adaptive, Algorithm, Order, Tuning, control::sampler::Route};

/// The priority of every request when no `priorities` are set.
///
/// It names a cohort, so no random cohort is drawn. It is the lowest level, so the queue allocates
/// the list of one level only.
const EQUAL_PRIORITY: Priority = Priority::new(Criticality::Sheddable).in_cohort(0);

/// Limits the requests in flight; excess requests are rejected or queued.
///
/// A request holds its slot until its call has ended: by default at the end of the response body.
/// The slot of a response that is not read is reclaimed after the
/// [longest stall](Self::max_stall).
///
/// # Which waiter is admitted next
///
/// A released slot goes to a waiter at once, never to a request that arrives at that moment. The
/// waiter is the one with the highest [priority](Self::priorities). Among equals it is the one that
/// has waited longest, unless another [order](Self::order) is set.
///
/// A waiter that is cancelled leaves nothing behind; if it was already granted a slot, the next
/// waiter gets that slot. A response future that is neither polled nor dropped keeps its place in
/// the queue, and a slot that was granted to it counts as in flight.
///
/// # Cost
///
/// | case | cost |
/// |---|---|
/// | a slot is free | one compare-and-swap to take it, one subtraction to release it; an addition and a compare-and-swap to count a response as unread |
/// | full, without a queue | one load |
/// | full, with a queue | a lock to queue a request, and one to hand a slot to a waiter, each held while an entry is linked into three lists |
/// | rejected by a full queue | no lock: the queue's length and its lowest level are one atomic |
///
/// Deadlines and priorities are read only when no slot is free.
///
/// The memory of the queue grows on first use. It holds one entry for each waiter, and one for each
/// answered waiter whose future has not been polled yet: at most `limit + 2 * len` entries
/// (`limit + len + 1024` when `len` is below 1,024). It also holds 8 bytes for each level up to the
/// highest one used: 4 KiB for all 512 levels.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use plimsoll_concurrency::ConcurrencyLimit;
/// use plimsoll_core::{Deadlines, GateLayer};
///
/// # fn main() -> Result<(), plimsoll_concurrency::InvalidConcurrencyLimit> {
/// let limit = ConcurrencyLimit::new(64)?
///     .queue(128, Duration::from_millis(50))?
///     .deadlines(Deadlines::new());
/// let layer = GateLayer::new(limit);
/// # let _: GateLayer<_> = layer;
/// # Ok(())
/// # }
/// ```
#[doc(alias(
    "bulkhead",
    "semaphore",
    "in flight",
    "backpressure",
    "throttling",
    "503",
    "adaptive concurrency"
))]
pub struct ConcurrencyLimit<D = (), R = Same> {
    pub(crate) state: Arc<State>,
    pub(crate) deadlines: Arc<D>,
    pub(crate) priorities: Arc<R>,
    pub(crate) kind: Kind,
    pub(crate) route: Option<Arc<Route>>,
}

impl ConcurrencyLimit {
    /// Admits at most `limit` requests at a time and rejects the rest with [`Kind::Full`].
    ///
    /// # Errors
    ///
    /// When `limit` is 0 or more than 2^30.
    pub fn new(limit: usize) -> Result<Self, InvalidConcurrencyLimit> {
        Ok(Self::with(Settings::new(limit)?))
    }

    /// Creates a limit that adapts to the service: [`Adaptive`] with its defaults.
    ///
    /// # Panics
    ///
    /// This function does not panic. But a queued request creates a [`tokio::time::Sleep`], which
    /// panics outside a tokio runtime with its timer enabled.
    pub fn adaptive() -> Self {
        Self::with(Settings::with_algorithm(Box::new(Adaptive::new()), &Tuning::DEFAULT).unwrap())
    }

    /// Creates a limit that is moved by an algorithm.
    ///
    /// # Errors
    ///
    /// When the algorithm's initial limit is 0 or more than 2^30.
    pub fn with_algorithm(
        algorithm: impl Algorithm + 'static,
    ) -> Result<Self, InvalidConcurrencyLimit> {
        Self::tuned(algorithm, &Tuning::DEFAULT)
    }

    /// Creates a limit with other numbers for its windows; for the laboratory.
    #[doc(hidden)]
    pub fn tuned(
        algorithm: impl Algorithm + 'static,
        tuning: &Tuning,
    ) -> Result<Self, InvalidConcurrencyLimit> {
        let settings = Settings::with_algorithm(Box::new(algorithm), tuning)?;
        Ok(Self::with(settings))
    }

    fn with(settings: Settings) -> Self {
        Self {
            state: Arc::new(State::new(Arc::new(settings))),
            deadlines: Arc::new(()),
            priorities: Arc::new(Same(EQUAL_PRIORITY)),
            kind: Kind::Full,
            route: None,
        }
    }
}

impl<D, R> ConcurrencyLimit<D, R> {
    /// Queues up to `len` requests, each for at most `max_wait`, when all slots are taken.
    ///
    /// Waiters are admitted first come, first served unless an [order](Self::order) or
    /// [priorities](Self::priorities) are set. A request that finds the queue full, or has waited
    /// for `max_wait`, is rejected as without a queue.
    ///
    /// Times are whole microseconds, rounded up; tokio's timer fires on the next millisecond.
    ///
    /// # Errors
    ///
    /// When `len` is 0 or more than 2^20, or `max_wait` is less than 1 microsecond or more than 1
    /// hour.
    ///
    /// # Panics
    ///
    /// This function does not panic. But a queued request creates a [`tokio::time::Sleep`], which
    /// panics outside a tokio runtime with its timer enabled.
    pub fn queue(self, len: usize, max_wait: Duration) -> Result<Self, InvalidConcurrencyLimit> {
        self.state.settings.set_queue(len, max_wait)?;
        Ok(self)
    }

    /// Rejects a waiter with [`Kind::Deadline`] when its own deadline cannot be met.
    ///
    /// That is when its deadline passes before it is admitted, or has passed before it would be
    /// queued. A request that finds a free slot is not rejected: for that, put
    /// [`Deadlines`](plimsoll_core::Deadlines) in front as a policy.
    ///
    /// An adaptive limit also keeps what is in flight and queued so low that it is answered in time.
    /// For that it reads the deadline of one admitted request in each of its windows.
    pub fn deadlines<E>(self, deadlines: E) -> ConcurrencyLimit<E, R> {
        ConcurrencyLimit {
            state: self.state,
            deadlines: Arc::new(deadlines),
            priorities: self.priorities,
            kind: self.kind,
            route: self.route,
        }
    }

    /// Sets the 99th percentile of the service time, for [`deadlines`](Self::deadlines).
    ///
    /// A request that has less time left than that is rejected with [`Kind::Deadline`]: before it
    /// is queued, while it waits, and when a slot becomes free for it. The slot then goes to the
    /// next waiter.
    ///
    /// Without this setting:
    ///
    /// - A fixed limit rejects only requests whose deadline has passed.
    /// - An adaptive limit measures the service time. When a slot becomes free it requires the 90th
    ///   percentile only, or, where that is longer, the mean latency of recent calls that ended
    ///   while all slots were taken (the latest has a weight of 1/16).
    ///
    /// # Errors
    ///
    /// When `p99` is zero or more than 1 hour.
    pub fn service_time(self, p99: Duration) -> Result<Self, InvalidConcurrencyLimit> {
        self.state.settings.set_service_time(Some(p99))?;
        Ok(self)
    }

    /// Sets which of several equal waiters gets the next slot; the default is [`Order::Fifo`].
    #[must_use]
    pub fn order(self, order: Order) -> Self {
        self.state.settings.set_order(order);
        self
    }

    /// Sets how the priority of a request is read, for a queue that serves the highest first.
    ///
    /// - A free slot goes to a waiter of the highest criticality.
    /// - A request that finds the queue full evicts the newest waiter of the lowest
    ///   [level](plimsoll_core::Priority::level), if its own level is higher. The evicted waiter is
    ///   rejected at once with [`Kind::Full`].
    /// - Within the highest criticality the highest cohort comes first once its waiters are at
    ///   risk. While the backlog is short, the oldest waiter of that criticality comes first. A
    ///   backlog is short while waiters exist that could be evicted for it, and its oldest waiter
    ///   has used less than half of its time (the longest wait, or the time to its deadline).
    /// - A request without a cohort gets a random one when it is queued. So under overload a part
    ///   of equal requests is served in time, instead of all of them late.
    /// - Waiters of a low level may wait for the longest wait and never be served.
    ///
    /// `priorities` is [`ByExtension`](plimsoll_core::ByExtension),
    /// [`ByHeader`](plimsoll_core::ByHeader) or a closure `Fn(&Req) -> Priority`. It is called only
    /// for requests that find no free slot. Without this setting all requests are equal, and no
    /// cohort is drawn.
    ///
    /// ```
    /// use std::time::Duration;
    /// use plimsoll_concurrency::ConcurrencyLimit;
    /// use plimsoll_core::{ByExtension, GateLayer};
    ///
    /// # fn main() -> Result<(), plimsoll_concurrency::InvalidConcurrencyLimit> {
    /// let limit = ConcurrencyLimit::new(64)?
    ///     .queue(128, Duration::from_millis(200))?
    ///     .priorities(ByExtension)
    ///     .controlled_delay(Duration::from_millis(5), Duration::from_millis(100))?;
    /// let layer = GateLayer::new(limit);
    /// # let _: GateLayer<_> = layer;
    /// # Ok(())
    /// # }
    /// ```
    pub fn priorities<Q>(self, priorities: Q) -> ConcurrencyLimit<D, Q> {
        ConcurrencyLimit {
            state: self.state,
            deadlines: self.deadlines,
            priorities: Arc::new(priorities),
            kind: self.kind,
            route: self.route,
        }
    }

    /// Rejects waiters early while the queue is congested, by `CoDel` as in Facebook's folly.
    ///
    /// folly's defaults are 5 and 100 ms. Set `target` to a few service times, and `interval`
    /// longer than a usual burst.
    ///
    /// The queue's delay is the wait of its oldest waiter, and zero when the queue is empty. When
    /// the delay exceeded `target` throughout an `interval`, the next interval is overloaded: a
    /// waiter that has waited for more than twice the target when its turn comes is rejected with
    /// [`Kind::Full`], and the slot goes to the next. The first waiter of an interval is never
    /// rejected that way. So a burst may wait up to the longest wait, and a lasting overload is
    /// served with short waits.
    ///
    /// There are two differences from folly:
    ///
    /// - folly takes the delay of the waiter whose turn it is. With priorities or newest first that
    ///   waiter has just arrived, so an overload would not be detected.
    /// - A queue that was empty during an interval is not overloaded in the next, so a few slots
    ///   with long calls are not left idle.
    ///
    /// folly's other form shortens the longest wait of new waiters to the target while the queue
    /// does not empty. It is not used: where calls take longer than the target, no waiter would
    /// stay long enough to get a slot.
    ///
    /// Times are whole microseconds, rounded up.
    ///
    /// # Errors
    ///
    /// When `target` is zero or not less than `interval`, or `interval` is more than 1 minute.
    pub fn controlled_delay(
        self,
        target: Duration,
        interval: Duration,
    ) -> Result<Self, InvalidConcurrencyLimit> {
        self.state.settings.set_control(target, interval)?;
        Ok(self)
    }

    /// Rejects with [`Kind::OverQuota`] instead of [`Kind::Full`], for limits per key.
    ///
    /// There the caller is over its own limit; the server is not full.
    ///
    /// The [hint](Self::retry_after) is an estimate here, too: unlike the next token of a rate
    /// limit, the end of a caller's running calls cannot be computed. [`Http`](plimsoll_core::Http)
    /// spreads it like the hint of a full server.
    pub fn reject_as_over_quota(self) -> Self {
        Self {
            kind: Kind::OverQuota,
            ..self
        }
    }

    /// Sets the retry hint of rejections, in place of an estimate.
    ///
    /// # The estimate
    ///
    /// It is the time until all requests in flight and in the queue will have been served: the time
    /// a slot is held, times the number of those requests, divided by the limit.
    ///
    /// - The time a slot is held, to the end of the body, is a moving average over the requests
    ///   that end while all slots are taken, except those that an inner gate rejected. Each counts
    ///   for at most [`max_retry_after`](Self::max_retry_after), and the latest has a weight of
    ///   1/16.
    /// - The estimate is 1 second before the first such request, and never more than
    ///   `max_retry_after`.
    /// - It decays with time. When no such request has ended for as long as one takes by the
    ///   average, the part above 1 second halves every 10 seconds, and the next request to end gets
    ///   the weight that was lost.
    ///
    /// [`FairShare`](crate::FairShare) and [`Partitions`](crate::Partitions) use the hint of the
    /// limit behind them. [`Http`](plimsoll_core::Http) spreads the hint of a full limit between
    /// one and two times its value, so that callers do not return together.
    ///
    /// # Errors
    ///
    /// When `hint` is zero or more than 1 day.
    pub fn retry_after(self, hint: Duration) -> Result<Self, InvalidConcurrencyLimit> {
        self.state.settings.set_retry_after(Some(hint))?;
        Ok(self)
    }

    /// Bounds the [estimated hint](Self::retry_after); the default is 1 minute.
    ///
    /// A hint that was set with [`retry_after`](Self::retry_after) is not bounded.
    ///
    /// # Errors
    ///
    /// When `max` is zero or more than 1 day.
    pub fn max_retry_after(self, max: Duration) -> Result<Self, InvalidConcurrencyLimit> {
        self.state.settings.set_max_retry_after(max)?;
        Ok(self)
    }

    /// Sets how long a response may stay unread while the limit is full.
    ///
    /// The default is 10 seconds; `None` disables it.
    ///
    /// A response is unread while its head or a frame was handed to the server and the server has
    /// not asked for the next one: the caller has stopped reading, or its HTTP/2 window is 0. Such
    /// a caller would hold its slot for as long as its connection lives, and two of them block a
    /// limit of 2. So the slots are reclaimed:
    ///
    /// - The time starts with the first request that finds the limit full. A slot is reclaimed
    ///   after 1 to 1.25 times `longest`, by a request that finds the limit full or waits in the
    ///   queue. No slot is reclaimed while every request finds one free.
    /// - A caller makes progress when the server asks for the next frame. A slow reader that takes
    ///   one frame within `longest` keeps its slot. (Data that fits into the buffers of server and
    ///   kernel counts as read.)
    /// - No time passes while the body waits for the service, as an idle event stream does.
    /// - The response is not cut off, because the caller could mistake the cut for its end. It
    ///   continues without a slot, and is counted in
    ///   [`stalled`](crate::ConcurrencyLimitHandle::stalled). The number of connections bounds such
    ///   responses: limit connections per address with `BoundedListener`.
    /// - An adaptive limit does not sample the end of such a call.
    ///
    /// [`FairShare`](crate::FairShare) and [`Partitions`](crate::Partitions) use the setting of the
    /// limit behind them, and reclaim its slots where they reject. A permit that was
    /// [handed over](plimsoll_core::Handover) to an upgraded socket keeps its slot.
    ///
    /// ```
    /// use std::time::Duration;
    /// use plimsoll_concurrency::ConcurrencyLimit;
    ///
    /// # fn main() -> Result<(), plimsoll_concurrency::InvalidConcurrencyLimit> {
    /// let limit = ConcurrencyLimit::new(64)?.max_stall(Duration::from_secs(30))?;
    /// // Behind a proxy that buffers whole responses:
    /// let trusted = ConcurrencyLimit::new(64)?.max_stall(None)?;
    /// # _ = (limit, trusted);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// When `longest` is less than 100 milliseconds or more than 1 hour.
    pub fn max_stall(
        self,
        longest: impl Into<Option<Duration>>,
    ) -> Result<Self, InvalidConcurrencyLimit> {
        self.state.settings.set_max_stall(longest.into())?;
        Ok(self)
    }

    /// Makes this limit one per key that `key` reads, for up to `capacity` keys at a time.
    ///
    /// Each key has its own slots and queue; all keys share settings, counters and handle.
    /// `missing` decides about requests without a key. See [`Keyed`] for keys beyond the capacity.
    ///
    /// Not for an adaptive limit: the cells share their settings, so one limit would be moved by
    /// the latencies of all keys.
    ///
    /// ```
    /// use plimsoll_concurrency::ConcurrencyLimit;
    /// use plimsoll_core::{ClientIp, GateLayer, Missing};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let each = ConcurrencyLimit::new(4)?.reject_as_over_quota();
    /// let handle = each.handle(); // of all keys
    /// let per_client = each.per_key(ClientIp::peer(), Missing::Share, 10_000)?;
    /// let layer = GateLayer::new(per_client);
    /// handle.set_limit(8)?;
    /// # let _: GateLayer<_> = layer;
    /// # Ok(())
    /// # }
    /// ```
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
        D: Send + Sync + 'static,
        R: Send + Sync + 'static,
    {
        Keyed::new(key, missing, capacity, move || self.cell())
    }

    /// Returns a limit with its own slots and queue that shares settings and counters with this
    /// one: the cell of one key.
    #[doc(hidden)]
    pub fn cell(&self) -> Self {
        Self {
            state: Arc::new(State::new(Arc::clone(&self.state.settings))),
            deadlines: Arc::clone(&self.deadlines),
            priorities: Arc::clone(&self.priorities),
            kind: self.kind,
            route: None,
        }
    }

    /// Makes one [route](Self::route) of this limit per key that `key` reads, for up to `capacity`
    /// keys at a time.
    ///
    /// All keys share the slots; only latency is measured per key. Requests without a key, and keys
    /// beyond the capacity, are measured as further routes.
    ///
    /// # Errors
    ///
    /// When `capacity` is zero or more than 2^28.
    pub fn per_route<K>(
        self,
        key: K,
        missing: Missing,
        capacity: usize,
    ) -> Result<Keyed<K, Self>, InvalidKeyed>
    where
        D: Send + Sync + 'static,
        R: Send + Sync + 'static,
    {
        Keyed::new(key, missing, capacity, move || self.route())
    }

    /// Returns an entrance to the same limit for one route, whose latency is measured separately.
    ///
    /// Slots, queue and settings are shared. Where routes of different speed share an adaptive
    /// limit, the mean latency moves with their mix, as it does with load. Measured separately, a
    /// change of the mix is not mistaken for load: [`Adaptive`] treats a window with more calls of
    /// slow routes as a window of fewer, longer calls. Other algorithms read
    /// [`Window::route_latency`](crate::Window::route_latency). A fixed limit ignores routes.
    ///
    /// - The baseline of a route is known after requests for it in two windows in which calls did
    ///   not wait for each other; the second must come within 32 windows of the first. While most
    ///   calls are of routes without a baseline, routes are not separated.
    /// - Changes through a handle apply to all routes, as do [queue](Self::queue),
    ///   [order](Self::order) and hint. [Deadlines](Self::deadlines),
    ///   [priorities](Self::priorities) and the [kind of rejection](Self::reject_as_over_quota)
    ///   belong to each entrance, and start as copies of this one's.
    /// - A limit [per key](Self::per_key) that is made from a route has no routes.
    /// - With [`per_route`](Self::per_route) a route may be evicted while its requests are in
    ///   flight: only what was measured for that route is lost.
    ///
    /// It costs a `try_lock` at the end of each call; no call waits for that lock.
    ///
    /// ```
    /// use plimsoll_concurrency::ConcurrencyLimit;
    /// use plimsoll_core::{Choose, GateLayer, Missing, Route};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let limit = ConcurrencyLimit::adaptive();
    /// let (search, rest) = (GateLayer::new(limit.route()), GateLayer::new(limit.route()));
    /// # let _: (GateLayer<_>, GateLayer<_>) = (search, rest);
    ///
    /// let cases = [("/search", limit.route())];
    /// let layer = GateLayer::new(Choose::by(Route::matched(), cases, limit.route()));
    /// # let _: GateLayer<_> = layer;
    ///
    /// let each = limit.per_route(Route::matched(), Missing::Share, 1000)?;
    /// let layer = GateLayer::new(each);
    /// # let _: GateLayer<_> = layer;
    /// # Ok(())
    /// # }
    /// ```
    pub fn route(&self) -> Self {
        Self {
            state: Arc::clone(&self.state),
            deadlines: Arc::clone(&self.deadlines),
            priorities: Arc::clone(&self.priorities),
            kind: self.kind,
            route: Some(Arc::default()),
        }
    }

    /// Returns a handle that reads and changes this limit at run time, and is its load signal.
    pub fn handle(&self) -> ConcurrencyLimitHandle {
        ConcurrencyLimitHandle::new(Arc::clone(&self.state))
    }
}

impl<D, R> fmt::Debug for ConcurrencyLimit<D, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConcurrencyLimit")
            .field("limit", &self.state.settings.limit())
            .field("in_flight", &self.state.in_flight())
            .field("queued", &self.state.queued())
            .finish_non_exhaustive()
    }
}
