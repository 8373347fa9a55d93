//! Settings and counters at run time.

use std::{
    ops::RangeInclusive,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use plimsoll_core::LoadSignal;
use tokio::time::Instant;

use super::{
    change::LimitChange, error::InvalidConcurrencyLimit, state::State, value::checked_bounds,
};
use crate::{LimitReason, Order, control::sampler::Sampler};

/// Reads and changes a [`ConcurrencyLimit`](crate::ConcurrencyLimit) at run time; clones share it.
///
/// The keys of a limit [per key](crate::ConcurrencyLimit::per_key) share settings and counters.
/// [`in_flight`](Self::in_flight), [`queued`](Self::queued) and the load are those of the limit or
/// cell that created this handle.
#[derive(Debug, Clone)]
pub struct ConcurrencyLimitHandle(Arc<State>);

impl ConcurrencyLimitHandle {
    pub(crate) fn new(state: Arc<State>) -> Self {
        Self(state)
    }

    /// Returns the limit: how many requests may be in flight.
    pub fn limit(&self) -> usize {
        self.0.settings.limit() as usize
    }

    /// Changes a fixed limit.
    ///
    /// A higher limit admits waiters at once. Under a lower limit running requests continue, and no
    /// request is admitted until fewer are in flight. Waiters of another cell with the same
    /// settings are admitted under a higher limit when the next slot of their cell is released.
    ///
    /// # Errors
    ///
    /// When `limit` is 0 or more than 2^30, or the limit is adaptive: the algorithm would replace
    /// the value at the end of the next window. Use [`set_bounds`](Self::set_bounds) or
    /// [`pin`](Self::pin) there. Nothing is changed then.
    pub fn set_limit(&self, limit: usize) -> Result<(), InvalidConcurrencyLimit> {
        let settings = &self.0.settings;
        if settings.sampler.is_some() {
            return Err(InvalidConcurrencyLimit::Adaptive);
        }
        settings.change_limit(LimitReason::Set, |value| value.set(limit))?;
        self.0.admit_waiters(None);
        Ok(())
    }

    /// Returns the bounds of an adaptive limit; `None` of a fixed one.
    pub fn bounds(&self) -> Option<RangeInclusive<usize>> {
        let settings = &self.0.settings;
        settings.sampler.as_ref()?;
        let (min, max) = settings.value.bounds().into_inner();
        Some(min as usize..=max as usize)
    }

    /// Changes the bounds of an adaptive limit, and moves the limit into them.
    ///
    /// # Errors
    ///
    /// When not `1 <= min <= max <= 2^30`, when the algorithm cannot work within the bounds, or
    /// when the limit is fixed. Nothing is changed then.
    pub fn set_bounds(&self, within: RangeInclusive<usize>) -> Result<(), InvalidConcurrencyLimit> {
        let settings = &self.0.settings;
        let Some(sampler) = &settings.sampler else {
            return Err(InvalidConcurrencyLimit::Fixed);
        };
        let checked = checked_bounds(&within)?;
        let (min, max) = within.into_inner();
        sampler
            .set_bounds(checked.clone())
            .map_err(|_| InvalidConcurrencyLimit::Bounds { min, max })?;
        settings.change_limit(LimitReason::Set, |value| {
            value.set_bounds(&checked);
            Ok(())
        })?;
        self.0.admit_waiters(None);
        Ok(())
    }

    /// Keeps an adaptive limit at this value until it is [unpinned](Self::unpin).
    ///
    /// This is for an experiment or an incident. The bounds do not apply. A fixed limit is
    /// [set](Self::set_limit). While the limit is pinned the algorithm neither measures nor probes.
    ///
    /// # Errors
    ///
    /// When `limit` is 0 or more than 2^30. Nothing is changed then.
    pub fn pin(&self, limit: usize) -> Result<(), InvalidConcurrencyLimit> {
        let settings = &self.0.settings;
        let Some(sampler) = &settings.sampler else {
            return self.set_limit(limit);
        };
        settings.change_limit(LimitReason::Pinned, |value| value.pin(Some(limit)))?;
        sampler.pin(true);
        self.0.admit_waiters(None);
        Ok(())
    }

    /// Unpins the limit, so that the algorithm moves it again from its current value. Does nothing
    /// when the limit is not pinned.
    pub fn unpin(&self) {
        let settings = &self.0.settings;
        if let Some(sampler) = settings
            .sampler
            .as_ref()
            .filter(|_| self.pinned().is_some())
        {
            _ = settings.change_limit(LimitReason::Set, |value| value.pin(None));
            sampler.pin(false);
            self.0.admit_waiters(None);
        }
    }

    /// Returns the value at which the limit is [pinned](Self::pin).
    pub fn pinned(&self) -> Option<usize> {
        self.0.settings.value.pinned().map(|limit| limit as usize)
    }

    /// Returns why the limit has its value: [`LimitReason::Set`], unless an algorithm moved it.
    pub fn reason(&self) -> LimitReason {
        let sampler = self.0.settings.sampler.as_ref();
        sampler.map(Sampler::reason).unwrap_or_default()
    }

    /// Calls `callback` whenever the limit changes, for logs, metrics and dashboards.
    ///
    /// The callback runs on the thread that changed the limit, without a lock: update an atomic, or
    /// send to a channel, and return. A panic in it is caught. Callbacks add up and apply to all
    /// keys of a limit [per key](crate::ConcurrencyLimit::per_key). An adaptive limit under load
    /// changes in most of its windows, every few latencies of the service.
    ///
    /// ```
    /// use plimsoll_concurrency::ConcurrencyLimit;
    ///
    /// let limit = ConcurrencyLimit::adaptive();
    /// limit.handle().on_limit_change(|change| {
    ///     println!("limit {} -> {}: {}", change.from, change.to, change.reason);
    /// });
    /// ```
    pub fn on_limit_change(&self, callback: impl Fn(&LimitChange) + Send + Sync + 'static) {
        self.0.settings.callbacks.add(Arc::new(callback));
    }

    /// Returns how many requests may wait at most, the most important ones included.
    pub(super) fn places(&self) -> u32 {
        let settings = &self.0.settings;
        let len = settings.queue().map_or(0, |(len, _)| len);
        let sampler = settings.sampler.as_ref();
        sampler.map_or(len, |sampler| sampler.shed.most_places(len))
    }

    /// Returns the queue's length and its longest wait; `None` without a queue.
    ///
    /// In front of an adaptive limit it is [longer](crate::Algorithm::longer_queue) for requests that are
    /// more important than all that are rejected.
    pub fn queue(&self) -> Option<(usize, Duration)> {
        self.0
            .settings
            .queue()
            .map(|(len, max_wait)| (len as usize, max_wait))
    }

    /// Changes the queue's length and its longest wait together.
    ///
    /// Requests that are already queued keep their place and their time.
    ///
    /// # Errors
    ///
    /// When `len` is 0 or more than 2^20, or `max_wait` is less than 1 microsecond or more than 1
    /// hour. Nothing is changed then.
    pub fn set_queue(&self, len: usize, max_wait: Duration) -> Result<(), InvalidConcurrencyLimit> {
        self.0.settings.set_queue(len, max_wait)
    }

    /// Removes the queue: new requests are rejected when all slots are taken.
    ///
    /// Requests that are already queued keep their place and their time.
    pub fn clear_queue(&self) {
        self.0.settings.clear_queue();
    }

    /// Returns which of several equal waiters gets the next slot.
    pub fn order(&self) -> Order {
        self.0.settings.order()
    }

    /// Changes which of several equal waiters gets the next slot, for queued requests, too.
    pub fn set_order(&self, order: Order) {
        self.0.settings.set_order(order);
    }

    /// Returns target and interval of the
    /// [controlled delay](crate::ConcurrencyLimit::controlled_delay), if one is set.
    pub fn controlled_delay(&self) -> Option<(Duration, Duration)> {
        let control = self.0.settings.control()?;
        Some((control.target, control.interval))
    }

    /// Changes target and interval of the
    /// [controlled delay](crate::ConcurrencyLimit::controlled_delay) together.
    ///
    /// # Errors
    ///
    /// When `target` is zero or not less than `interval`, or `interval` is more than 1 minute.
    /// Nothing is changed then.
    pub fn set_controlled_delay(
        &self,
        target: Duration,
        interval: Duration,
    ) -> Result<(), InvalidConcurrencyLimit> {
        self.0.settings.set_control(target, interval)
    }

    /// Removes the controlled delay: when its turn comes, a waiter is rejected only for its
    /// deadline.
    pub fn clear_controlled_delay(&self) {
        self.0.settings.clear_control();
    }

    /// Returns the 99th percentile of the service time, as set or measured; `None` when unknown.
    /// The measured one is at most 0.7 of the usual time until deadlines.
    ///
    /// Requests with a deadline are rejected when they have less time left.
    pub fn service_time(&self) -> Option<Duration> {
        Some(self.0.settings.service_time()).filter(|time| !time.is_zero())
    }

    /// Sets the [service time](crate::ConcurrencyLimit::service_time); `None` measures it, where
    /// the limit is adaptive.
    ///
    /// Queued requests are checked against it when their turn comes.
    ///
    /// # Errors
    ///
    /// When `p99` is zero or more than 1 hour. Nothing is changed then.
    pub fn set_service_time(&self, p99: Option<Duration>) -> Result<(), InvalidConcurrencyLimit> {
        self.0.settings.set_service_time(p99)
    }

    /// Returns the retry hint: as set, or the estimate without its decay.
    ///
    /// See [`ConcurrencyLimit::retry_after`](crate::ConcurrencyLimit::retry_after). The estimate of
    /// a rejection decays with time, so its hint may be shorter than this.
    pub fn retry_after(&self) -> Duration {
        self.0.retry_after(None)
    }

    /// Returns the hint of a rejection at `now`.
    pub(crate) fn retry_after_at(&self, now: Instant) -> Duration {
        self.0.retry_after(Some(now))
    }

    /// Returns the bound of the estimated hint.
    pub fn max_retry_after(&self) -> Duration {
        self.0.settings.max_retry_after()
    }

    /// Changes the [bound](crate::ConcurrencyLimit::max_retry_after) of the estimated hint.
    ///
    /// # Errors
    ///
    /// When `max` is zero or more than 1 day. Nothing is changed then.
    pub fn set_max_retry_after(&self, max: Duration) -> Result<(), InvalidConcurrencyLimit> {
        self.0.settings.set_max_retry_after(max)
    }

    /// Sets the hint of rejections; `None` estimates it.
    ///
    /// See [`ConcurrencyLimit::retry_after`](crate::ConcurrencyLimit::retry_after).
    ///
    /// # Errors
    ///
    /// When `hint` is zero or more than 1 day. Nothing is changed then.
    pub fn set_retry_after(&self, hint: Option<Duration>) -> Result<(), InvalidConcurrencyLimit> {
        self.0.settings.set_retry_after(hint)
    }

    /// Returns how long a response may stay unread while the limit is full; `None` is unlimited.
    pub fn max_stall(&self) -> Option<Duration> {
        self.0.settings.max_stall().map(Duration::from_nanos)
    }

    /// Changes the [longest stall](crate::ConcurrencyLimit::max_stall).
    ///
    /// # Errors
    ///
    /// When `longest` is less than 100 milliseconds or more than 1 hour. Nothing is changed then.
    pub fn set_max_stall(&self, longest: Option<Duration>) -> Result<(), InvalidConcurrencyLimit> {
        self.0.settings.set_max_stall(longest)
    }

    /// Reclaims the slots of unread responses, for a policy in front that finds the limit full or
    /// nearly full.
    pub(crate) fn reclaim(&self, now: Instant) {
        self.0.reclaim(now);
    }

    /// The longest stall in nanoseconds; `None` is unlimited.
    pub(crate) fn max_stall_nanos(&self) -> Option<u64> {
        self.0.settings.max_stall()
    }

    /// Returns how many slots were reclaimed from unread responses.
    ///
    /// See [`ConcurrencyLimit::max_stall`](crate::ConcurrencyLimit::max_stall).
    pub fn stalled(&self) -> u64 {
        self.0.settings.stalled.load(Relaxed)
    }

    /// Returns the requests that hold a slot, including granted waiters that have not been polled
    /// yet.
    pub fn in_flight(&self) -> usize {
        self.0.in_flight() as usize
    }

    /// Returns the requests in the queue.
    pub fn queued(&self) -> usize {
        self.0.queued() as usize
    }

    /// Returns the requests that found neither a free slot nor a place in the queue.
    pub fn rejected(&self) -> u64 {
        self.0.settings.rejected.get()
    }

    /// Returns the waiters that were evicted by requests of a higher priority.
    ///
    /// Each is counted when its future is polled. If it is dropped before, it counts as
    /// [abandoned](Self::abandoned), so every request is in one counter.
    pub fn evicted(&self) -> u64 {
        self.0.settings.evicted.get()
    }

    /// Returns the waiters that the [controlled delay](crate::ConcurrencyLimit::controlled_delay)
    /// rejected.
    pub fn overdue(&self) -> u64 {
        self.0.settings.overdue.get()
    }

    /// Returns the waiters that were rejected after the longest wait.
    pub fn timed_out(&self) -> u64 {
        self.0.settings.timed_out.get()
    }

    /// Returns the requests that were rejected because their deadline could not be met.
    pub fn past_deadline(&self) -> u64 {
        self.0.settings.past_deadline.get()
    }

    /// Returns the waiters whose futures were dropped.
    pub fn abandoned(&self) -> u64 {
        self.0.settings.abandoned.get()
    }
}

/// Requests in flight and in the queue, divided by the limit: 1 when the last slot is taken, more
/// with waiters.
impl LoadSignal for ConcurrencyLimitHandle {
    #[inline]
    fn load(&self) -> f64 {
        let inside = u64::from(self.0.in_flight()) + u64::from(self.0.queued());
        inside as f64 / f64::from(self.0.settings.limit())
    }
}
