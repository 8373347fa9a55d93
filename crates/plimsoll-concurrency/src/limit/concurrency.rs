//! The limit as its users build it.

use std::{fmt, sync::Arc, time::Duration};

use plimsoll_core::{Criticality, Kind, Priority, Same};

use super::{
    error::InvalidConcurrencyLimit, handle::ConcurrencyLimitHandle, settings::Settings,
    state::State,
};
use crate::{Adaptive, Algorithm, Order, Tuning, control::sampler::Route};

/// Of all requests, while nobody tells priorities. In a cohort, so that none is drawn; and the lowest level, so that
/// the queue keeps a list for no other.
const THE_SAME: Priority = Priority::new(Criticality::Sheddable).in_cohort(0);

/// A limit on requests in flight; one more is refused, or waits its turn.
///
/// A request holds its slot until its call is over: by default at the end of the response body. The
/// slot of a response that is not read is reclaimed after the [longest stall](Self::max_stall).
///
/// # Who comes next
///
/// A slot that becomes free belongs to one of those who wait, at once, and never to a request that arrives in that
/// moment: to the highest [priority](Self::priorities), and among equals to whoever has waited longest, or as the
/// [order](Self::order) says. A caller that stops waiting leaves nothing behind; if it had just been given a slot, the next
/// in the queue gets it. A response future that is neither polled nor dropped keeps its place, and the slot it
/// was given, as any other request in flight does.
///
/// # Cost
///
/// With a free slot: a compare-and-swap to get in, and a subtraction to get out; an addition and a
/// compare-and-swap count that the response waits for its caller. When full and without a queue, a
/// load. Only requests that wait, and slots that go to them, take a lock, for as long as it takes
/// to link an entry of three lists. Deadlines and priorities are read when there is no slot. A
/// refusal takes no lock: the queue's length and its lowest level are one atomic.
///
/// A queue's memory grows as it is first used: by an entry for each request that waits or was answered and has not yet
/// heard of it, at most the limit and twice the length together (a length below 1,024 counts as that many once), and by
/// 8 bytes for each level up to the highest ever seen, 4 KiB for all 512.
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
pub struct ConcurrencyLimit<D = (), R = Same> {
    pub(crate) state: Arc<State>,
    pub(crate) deadlines: Arc<D>,
    pub(crate) priorities: Arc<R>,
    pub(crate) kind: Kind,
    pub(crate) route: Option<Arc<Route>>,
}

impl ConcurrencyLimit {
    /// Lets `limit` requests in at a time, and refuses the others at once with [`Kind::Full`].
    ///
    /// # Errors
    ///
    /// When `limit` is 0 or more than 2^30.
    pub fn new(limit: usize) -> Result<Self, InvalidConcurrencyLimit> {
        Ok(Self::with(Settings::new(limit)?))
    }

    /// A limit that finds itself: [`Adaptive`] with its defaults. Nothing has to be known of the service.
    ///
    /// # Panics
    ///
    /// Not here; but a request that has to wait makes a [`tokio::time::Sleep`], which panics outside of a tokio
    /// runtime with its timer enabled.
    pub fn adaptive() -> Self {
        Self::with(Settings::moved_by(Box::new(Adaptive::new()), &Tuning::DEFAULT).unwrap())
    }

    /// A limit that this algorithm moves.
    ///
    /// # Errors
    ///
    /// When it begins with 0 or more than 2^30.
    pub fn moved_by(algorithm: impl Algorithm + 'static) -> Result<Self, InvalidConcurrencyLimit> {
        Self::tuned(algorithm, &Tuning::DEFAULT)
    }

    /// With other numbers for the windows, for the laboratory.
    #[doc(hidden)]
    pub fn tuned(
        algorithm: impl Algorithm + 'static,
        tuning: &Tuning,
    ) -> Result<Self, InvalidConcurrencyLimit> {
        let settings = Settings::moved_by(Box::new(algorithm), tuning)?;
        Ok(Self::with(settings))
    }

    fn with(settings: Settings) -> Self {
        Self {
            state: Arc::new(State::new(Arc::new(settings))),
            deadlines: Arc::new(()),
            priorities: Arc::new(Same(THE_SAME)),
            kind: Kind::Full,
            route: None,
        }
    }
}

impl<D, R> ConcurrencyLimit<D, R> {
    /// Up to `len` requests wait for a slot, first come first served unless an [order](Self::order) or
    /// [priorities](Self::priorities) are set, none longer than `max_wait`. A request that finds the queue full, or has
    /// waited that long, is refused like one without a queue.
    ///
    /// Time is counted in whole microseconds, rounded up, and tokio's timer fires on the millisecond after.
    ///
    /// # Errors
    ///
    /// When `len` is 0 or more than 2^20, or `max_wait` less than 1 microsecond or more than 1 hour.
    ///
    /// # Panics
    ///
    /// Not here; but a request that has to wait makes a [`tokio::time::Sleep`], which panics outside of a tokio
    /// runtime with its timer enabled.
    pub fn queue(self, len: usize, max_wait: Duration) -> Result<Self, InvalidConcurrencyLimit> {
        self.state.settings.set_queue(len, max_wait)?;
        Ok(self)
    }

    /// A request that waits is refused with [`Kind::Deadline`] when its deadline comes before its turn, or has
    /// passed when it would have to wait. Requests that find a slot are not asked: put
    /// [`Deadlines`](plimsoll_core::Deadlines) in front as a policy for that.
    pub fn deadlines<E>(self, deadlines: E) -> ConcurrencyLimit<E, R> {
        ConcurrencyLimit {
            state: self.state,
            deadlines: Arc::new(deadlines),
            priorities: self.priorities,
            kind: self.kind,
            route: self.route,
        }
    }

    /// States how long the service takes for all but the slowest hundredth (the 99th percentile), for
    /// [`deadlines`](Self::deadlines): a request with less time left than that is refused with [`Kind::Deadline`] before
    /// it waits, when so little is left while it waits, and when its turn comes; the slot goes to the next. Without it
    /// only those whose deadline has passed are; and a limit that moves measures the time itself. There the 90th percentile is
    /// enough when the turn comes, or the mean of the calls that ended last while all slots were taken (the latest weighs a
    /// 16th), where that is longer.
    ///
    /// # Errors
    ///
    /// When it is zero or more than 1 hour.
    pub fn service_time(self, p99: Duration) -> Result<Self, InvalidConcurrencyLimit> {
        self.state.settings.set_service_time(Some(p99))?;
        Ok(self)
    }

    /// Who among equals gets the next slot; [`Order::Fifo`] unless set.
    #[must_use]
    pub fn order(self, order: Order) -> Self {
        self.state.settings.set_order(order);
        self
    }

    /// Slots go to the highest criticality that waits, and a request that finds the queue full takes the place of the newest
    /// of the lowest [level](plimsoll_core::Priority::level), when its own is higher: that one is refused at once with
    /// [`Kind::Full`]. Only requests that find no slot are asked.
    ///
    /// Within the highest criticality the highest cohort comes first, but not while its backlog is a passing one: others wait who
    /// would make room for it, and the first of it has not yet waited for half of the time that it can (the longest wait, or
    /// the time its deadline leaves). Then nobody of it has to be lost, and the first comes first.
    ///
    /// `priorities` is [`ByExtension`](plimsoll_core::ByExtension), [`ByHeader`](plimsoll_core::ByHeader) or a closure
    /// `Fn(&Req) -> Priority`. A request without a cohort gets a random one when it has to wait: so a part of equals is
    /// served in time, and not all of them late. Without this setting all are the same, and nothing is drawn.
    ///
    /// Requests of a low level may wait for the longest wait and never be served.
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

    /// Cuts a queue short that does not only smooth bursts: `CoDel`, in the form that Facebook's folly gave it for
    /// servers. Its own defaults are 5 and 100 ms; `target` should be some service times, and `interval` longer than a
    /// usual burst.
    ///
    /// The queue's delay is that of the oldest in it, and zero when nobody waits. When it was longer than `target`
    /// throughout an `interval`, the next one is overloaded: requests that have waited for more than twice the target
    /// when their turn comes are refused then with [`Kind::Full`], and the slot goes to the next; never the first of an
    /// interval. So bursts may wait for the longest wait, and a lasting overload is served with short waits.
    ///
    /// Two things differ from folly. Its delay is that of the request whose turn it is: by priority or newest first
    /// that one has always just come, and there is no overload to be seen. And a queue that was empty in an interval is
    /// never overloaded in the next, so that a few slots with long calls are not left idle. That is also why the other
    /// form was not taken, in which a queue that stands shortens the longest wait of newcomers to the target: where
    /// calls are longer than that, nobody waits long enough for a slot.
    ///
    /// Times are counted in whole microseconds, rounded up.
    ///
    /// # Errors
    ///
    /// When `target` is zero or not less than `interval`, or `interval` more than 1 minute.
    pub fn controlled_delay(
        self,
        target: Duration,
        interval: Duration,
    ) -> Result<Self, InvalidConcurrencyLimit> {
        self.state.settings.set_control(target, interval)?;
        Ok(self)
    }

    /// Refuses with [`Kind::OverQuota`] instead of [`Kind::Full`]: for limits per key, where it is the caller who is
    /// over, and not the server that is full.
    ///
    /// The [hint](Self::retry_after) is an estimate here too. A rate limit knows when the next
    /// token comes; when a call of the same caller ends is not known beforehand.
    /// [`Http`](plimsoll_core::Http) spreads it like the hint of a full server.
    pub fn reject_as_over_quota(self) -> Self {
        Self {
            kind: Kind::OverQuota,
            ..self
        }
    }

    /// States when a rejected caller should come back, in place of an estimate.
    ///
    /// # The estimate
    ///
    /// It is the time until the requests that are inside now will have been served: the time a slot
    /// is held, times the requests in flight and in the queue, over the limit.
    ///
    /// - The time a slot is held, to the end of the body, is a moving average over the requests
    ///   that end while all slots are taken, except those that an inner gate rejected. Each counts
    ///   for at most [`max_retry_after`](Self::max_retry_after), and the latest weighs a 16th.
    /// - The estimate is 1 second before the first such request, and never more than
    ///   `max_retry_after`.
    /// - It forgets by time. When no such request has ended for as long as one takes by the
    ///   average, what exceeds 1 second halves every 10 seconds, and the next request to end weighs
    ///   as much as was forgotten.
    ///
    /// [`FairShare`](crate::FairShare) and [`Partitions`](crate::Partitions) give the hint of the
    /// limit behind them. [`Http`](plimsoll_core::Http) spreads the hint of a full limit between once and
    /// twice its value, so that callers do not return together.
    ///
    /// # Errors
    ///
    /// When it is zero or more than 1 day.
    pub fn retry_after(self, hint: Duration) -> Result<Self, InvalidConcurrencyLimit> {
        self.state.settings.set_retry_after(Some(hint))?;
        Ok(self)
    }

    /// Bounds the hint that is [estimated](Self::retry_after); 1 minute unless set.
    ///
    /// A hint that is stated is not bounded.
    ///
    /// # Errors
    ///
    /// When it is zero or more than 1 day.
    pub fn max_retry_after(self, max: Duration) -> Result<Self, InvalidConcurrencyLimit> {
        self.state.settings.set_max_retry_after(max)?;
        Ok(self)
    }

    /// How long a response may stay unread while requests find the limit full: 10 seconds by
    /// default, `None` for ever.
    ///
    /// A response is unread while its head or a frame was handed to the server and the server has
    /// not asked for the next: the caller has stopped reading, or its HTTP/2 window is 0. Such
    /// callers would hold their slots for as long as their connections live, and two of them close
    /// a limit of 2. So their slots are reclaimed:
    ///
    /// - The time runs from the first request that finds the limit full. A slot is reclaimed after
    ///   1 to 1.25 times `longest`, by a request that finds the limit full or waits in the queue.
    ///   While all requests find a slot none is reclaimed.
    /// - A caller makes progress when the server asks for the next frame. A slow reader that takes
    ///   one frame within `longest` keeps its slot. (What fits into the buffers of server and
    ///   kernel counts as read.)
    /// - No time runs while the body waits for the service, as an idle event stream does.
    /// - The response is not cut off, which could pass for its end. It continues without a slot,
    ///   and is counted in [`stalled`](crate::ConcurrencyLimitHandle::stalled). Such responses are
    ///   bounded by connections: limit those by address, with `BoundedListener`.
    /// - An adaptive limit learns nothing from the end of such a call.
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
    /// When it is less than 100 milliseconds or more than 1 hour.
    pub fn max_stall(
        self,
        longest: impl Into<Option<Duration>>,
    ) -> Result<Self, InvalidConcurrencyLimit> {
        self.state.settings.set_max_stall(longest.into())?;
        Ok(self)
    }

    /// Another limit with slots and a queue of its own, and the same settings and counters: what is changed through one
    /// handle is changed for all.
    ///
    /// ```
    /// use plimsoll_concurrency::ConcurrencyLimit;
    /// use plimsoll_core::{ClientIp, GateLayer, Keyed, Missing};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let each = ConcurrencyLimit::new(4)?.reject_as_over_quota();
    /// let handle = each.handle(); // of all
    /// let per_client =
    ///     Keyed::new(ClientIp::peer(), Missing::Share, 10_000, move || each.cell())?;
    /// let layer = GateLayer::new(per_client);
    /// handle.set_limit(8)?;
    /// # let _: GateLayer<_> = layer;
    /// # Ok(())
    /// # }
    /// ```
    pub fn cell(&self) -> Self {
        Self {
            state: Arc::new(State::new(Arc::clone(&self.state.settings))),
            deadlines: Arc::clone(&self.deadlines),
            priorities: Arc::clone(&self.priorities),
            kind: self.kind,
            route: None,
        }
    }

    /// Another entrance to the same slots, the same queue and the same settings, for requests of one route: how long its
    /// calls take is learnt apart from the others'.
    ///
    /// Where routes of different speed share a limit that finds itself, the mean latency moves with their mix, as it does
    /// with load. Told apart, a mix that changes is known for what it is: [`Adaptive`] takes a window of slower routes for
    /// one of fewer calls that take longer. Other algorithms read [`Window::route_latency`](crate::Window::route_latency). A limit
    /// that is set does not care.
    ///
    /// A route is known once it was asked for in a window in which calls did not wait for each other, and again in one of
    /// the 32 after it. While most calls are of routes that are not known, they are not told apart.
    ///
    /// What a handle changes is changed for all routes, as are [queue](Self::queue), [order](Self::order) and hint;
    /// [deadlines](Self::deadlines), [priorities](Self::priorities) and [kind of refusal](Self::reject_as_over_quota) are each
    /// entrance's own, and begin as they are here. A [cell](Self::cell) of a route has slots of its own, and no route. In
    /// a [`Keyed`](plimsoll_core::Keyed) a route may be forgotten while others are in flight: what was learnt of it is
    /// lost, and nothing else.
    ///
    /// Costs a lock that is tried, and never waited for, at the end of a call; with a few routes or one for each key:
    ///
    /// ```
    /// use plimsoll_concurrency::ConcurrencyLimit;
    /// use plimsoll_core::{Choose, GateLayer, Keyed, Missing, Route};
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
    /// let each = Keyed::new(Route::matched(), Missing::Share, 1000, move || limit.route())?;
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

    /// Reads and changes this limit while it works, and tells its load.
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
