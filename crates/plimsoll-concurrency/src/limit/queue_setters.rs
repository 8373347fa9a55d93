//! The settings of a queue: its length, its order, and when a waiter is rejected.

use std::{sync::Arc, time::Duration};

use super::{concurrency::ConcurrencyLimit, error::InvalidConcurrencyLimit};
use crate::Order;

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

    /// Rejects a waiter with [`Kind::Deadline`](plimsoll_core::Kind::Deadline) when its own
    /// deadline cannot be met.
    ///
    /// That is when its deadline passes before it is admitted, or has passed before it would be
    /// queued. A request that finds a free slot is not rejected: for that, put
    /// [`Deadlines`](plimsoll_core::Deadlines) in front as a policy.
    ///
    /// An adaptive limit also keeps what is in flight and queued so low that it is answered in time.
    /// For that it also reads the deadline of one request in each window, before it takes a slot.
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
    /// A request that has less time left than that is rejected with
    /// [`Kind::Deadline`](plimsoll_core::Kind::Deadline): before it is queued, while it waits, and
    /// when a slot becomes free for it. The slot then goes to the next waiter.
    ///
    /// Without this setting:
    ///
    /// - A fixed limit rejects only requests whose deadline has passed.
    /// - An adaptive limit measures the service time, and requires at most 0.7 of the usual time until
    ///   deadlines. When a slot becomes free it requires the 90th percentile only, or, where that is
    ///   longer, the mean latency of recent calls that ended while all slots were taken (the latest
    ///   has a weight of 1/16).
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
    ///   rejected at once with [`Kind::Full`](plimsoll_core::Kind::Full).
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
    /// [`Kind::Full`](plimsoll_core::Kind::Full), and the slot goes to the next. The first waiter
    /// of an interval is never rejected that way. So a burst may wait up to the longest wait, and a
    /// lasting overload is served with short waits.
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
}
