//! Settings and figures at run time.

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

/// Reads and changes a [`ConcurrencyLimit`](crate::ConcurrencyLimit) limit while it works. Clones share it.
///
/// The settings and counters of cells made with [`ConcurrencyLimit::cell`](crate::ConcurrencyLimit::cell) are shared among
/// all of them; [`in_flight`](Self::in_flight), [`queued`](Self::queued) and the load are those of the one cell this
/// handle came from.
#[derive(Debug, Clone)]
pub struct ConcurrencyLimitHandle(Arc<State>);

impl ConcurrencyLimitHandle {
    pub(crate) fn new(state: Arc<State>) -> Self {
        Self(state)
    }

    /// Returns the limit: requests that may be in flight.
    pub fn limit(&self) -> usize {
        self.0.settings.limit() as usize
    }

    /// Changes a fixed limit.
    ///
    /// A higher limit admits waiters at once. Under a lower one running requests end in their own
    /// time, and no request is admitted until fewer are in flight. Waiters of another cell with the
    /// same settings notice a higher limit when the next slot of their cell is released.
    ///
    /// # Errors
    ///
    /// When `limit` is 0 or more than 2^30, or the limit is adaptive: an algorithm would replace the
    /// value with the next window. [`set_bounds`](Self::set_bounds) or [`pin`](Self::pin) it. Nothing
    /// is changed then.
    pub fn set_limit(&self, limit: usize) -> Result<(), InvalidConcurrencyLimit> {
        let settings = &self.0.settings;
        if settings.sampler.is_some() {
            return Err(InvalidConcurrencyLimit::Adaptive);
        }
        settings.change_limit(LimitReason::Set, |value| value.set(limit))?;
        self.0.hand_out(None);
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
    /// When not `1 <= min <= max <= 2^30`, the algorithm cannot work within them, or the limit is
    /// fixed. Nothing is changed then.
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
        self.0.hand_out(None);
        Ok(())
    }

    /// Keeps an adaptive limit at this value until it is [unpinned](Self::unpin): for an experiment,
    /// or an incident. Bounds do not apply to it. A fixed limit is [set](Self::set_limit).
    ///
    /// The algorithm measures nothing meanwhile, and probes nothing.
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
        self.0.hand_out(None);
        Ok(())
    }

    /// Lets the algorithm move the limit again, from where it is pinned. Does nothing to a limit
    /// that is not pinned.
    pub fn unpin(&self) {
        let settings = &self.0.settings;
        if let Some(sampler) = settings
            .sampler
            .as_ref()
            .filter(|_| self.pinned().is_some())
        {
            _ = settings.change_limit(LimitReason::Set, |value| value.pin(None));
            sampler.pin(false);
            self.0.hand_out(None);
        }
    }

    /// Returns the value at which the limit is [pinned](Self::pin).
    pub fn pinned(&self) -> Option<usize> {
        self.0.settings.value.pinned().map(|limit| limit as usize)
    }

    /// Why the limit has its value: [`LimitReason::Set`], unless an algorithm moved it.
    pub fn reason(&self) -> LimitReason {
        let sampler = self.0.settings.sampler.as_ref();
        sampler.map(Sampler::reason).unwrap_or_default()
    }

    /// Calls `callback` whenever the limit changes, for logs, metrics and dashboards.
    ///
    /// It runs on the thread that changed the limit, without a lock: count with an atomic, or send
    /// to a channel, and return. If it panics, the panic is caught. Callbacks add up, and are those
    /// of all [cells](crate::ConcurrencyLimit::cell). An adaptive limit under load changes with most of
    /// its windows, every few latencies of the service.
    ///
    /// ```
    /// use plimsoll_concurrency::ConcurrencyLimit;
    ///
    /// let limit = ConcurrencyLimit::adaptive();
    /// limit.handle().on_limit_change(|change| {
    ///     tracing::debug!(from = change.from, to = change.to, reason = %change.reason, "limit changed");
    /// });
    /// ```
    pub fn on_limit_change(&self, callback: impl Fn(&LimitChange) + Send + Sync + 'static) {
        self.0.settings.callbacks.add(Arc::new(callback));
    }

    /// How many may wait, and for how long; `None` when requests are refused at once.
    pub fn queue(&self) -> Option<(usize, Duration)> {
        self.0
            .settings
            .queue()
            .map(|(len, max_wait)| (len as usize, max_wait))
    }

    /// Changes how many may wait and for how long, together. Those who wait already keep their place
    /// and their time.
    ///
    /// # Errors
    ///
    /// When `len` is 0 or more than 2^20, or `max_wait` less than 1 microsecond or more than 1 hour. Nothing is changed
    /// then.
    pub fn set_queue(&self, len: usize, max_wait: Duration) -> Result<(), InvalidConcurrencyLimit> {
        self.0.settings.set_queue(len, max_wait)
    }

    /// From now on refuses at once when full. Those who wait already keep their place and their time.
    pub fn clear_queue(&self) {
        self.0.settings.clear_queue();
    }

    /// Who among equals gets the next slot.
    pub fn order(&self) -> Order {
        self.0.settings.order()
    }

    /// Changes who among equals gets the next slot, those who wait already included.
    pub fn set_order(&self, order: Order) {
        self.0.settings.set_order(order);
    }

    /// Target and interval of the [controlled delay](crate::ConcurrencyLimit::controlled_delay); `None` without one.
    pub fn controlled_delay(&self) -> Option<(Duration, Duration)> {
        let control = self.0.settings.control()?;
        Some((control.target, control.interval))
    }

    /// Changes target and interval of the controlled delay together.
    ///
    /// # Errors
    ///
    /// When `target` is zero or not less than `interval`, or `interval` more than 1 minute. Nothing is changed then.
    pub fn set_controlled_delay(
        &self,
        target: Duration,
        interval: Duration,
    ) -> Result<(), InvalidConcurrencyLimit> {
        self.0.settings.set_control(target, interval)
    }

    /// From now on nobody is refused when its turn comes but for its deadline.
    pub fn clear_controlled_delay(&self) {
        self.0.settings.clear_control();
    }

    /// The service's 99th percentile, which waits are held against that have a deadline; `None` when it is not known.
    pub fn service_time(&self) -> Option<Duration> {
        Some(self.0.settings.service_time()).filter(|time| !time.is_zero())
    }

    /// Changes the [service time](crate::ConcurrencyLimit::service_time). Those who wait already are held against it when
    /// their turn comes.
    ///
    /// # Errors
    ///
    /// When it is zero or more than 1 hour. Nothing is changed then.
    pub fn set_service_time(&self, p99: Option<Duration>) -> Result<(), InvalidConcurrencyLimit> {
        self.0.settings.set_service_time(p99)
    }

    /// The hint of rejections: as it was set, or the estimate when the last call was measured.
    ///
    /// See [`ConcurrencyLimit::retry_after`](crate::ConcurrencyLimit::retry_after). A rejection knows the time, so
    /// its hint is shorter than this when a long estimate is out of date.
    pub fn retry_after(&self) -> Duration {
        self.0.retry_after(None)
    }

    /// The hint of a rejection at `now`.
    pub(crate) fn retry_after_at(&self, now: Instant) -> Duration {
        self.0.retry_after(Some(now))
    }

    /// The longest hint that is estimated.
    pub fn max_retry_after(&self) -> Duration {
        self.0.settings.max_retry_after()
    }

    /// Changes the [longest hint](crate::ConcurrencyLimit::max_retry_after) that is estimated.
    ///
    /// # Errors
    ///
    /// When it is zero or more than 1 day. Nothing is changed then.
    pub fn set_max_retry_after(&self, max: Duration) -> Result<(), InvalidConcurrencyLimit> {
        self.0.settings.set_max_retry_after(max)
    }

    /// Sets the hint that refusals carry; `None` estimates it, see
    /// [`ConcurrencyLimit::retry_after`](crate::ConcurrencyLimit::retry_after).
    ///
    /// # Errors
    ///
    /// When it is zero or more than 1 day. Nothing is changed then.
    pub fn set_retry_after(&self, hint: Option<Duration>) -> Result<(), InvalidConcurrencyLimit> {
        self.0.settings.set_retry_after(hint)
    }

    /// How long a response may stay unread while requests find the limit full; `None` is for ever.
    pub fn max_stall(&self) -> Option<Duration> {
        self.0.settings.max_stall().map(Duration::from_nanos)
    }

    /// Changes the [longest stall](crate::ConcurrencyLimit::max_stall).
    ///
    /// # Errors
    ///
    /// When it is less than 100 milliseconds or more than 1 hour. Nothing is changed then.
    pub fn set_max_stall(&self, longest: Option<Duration>) -> Result<(), InvalidConcurrencyLimit> {
        self.0.settings.set_max_stall(longest)
    }

    /// Reclaims the slots of callers that stopped reading, for a policy in front of the limit that
    /// finds it full or nearly so.
    pub(crate) fn reclaim(&self, now: Instant) {
        self.0.reclaim(now);
    }

    /// The longest stall in nanoseconds; `None` is for ever.
    pub(crate) fn max_stall_nanos(&self) -> Option<u64> {
        self.0.settings.max_stall()
    }

    /// Slots that were reclaimed from responses that were not read for the longest stall.
    ///
    /// See [`ConcurrencyLimit::max_stall`](crate::ConcurrencyLimit::max_stall).
    pub fn stalled(&self) -> u64 {
        self.0.settings.stalled.load(Relaxed)
    }

    /// Requests that hold a slot, those included that were given one and have not yet been polled.
    pub fn in_flight(&self) -> usize {
        self.0.in_flight() as usize
    }

    /// Requests that wait.
    pub fn queued(&self) -> usize {
        self.0.queued() as usize
    }

    /// Requests that were refused when they came, there being neither a slot nor a place in the queue.
    pub fn rejected(&self) -> u64 {
        self.0.settings.rejected.get()
    }

    /// Requests that were refused because one of a higher priority took their place in the queue. Counted when they
    /// hear of it, so each request is in one count.
    pub fn pushed_out(&self) -> u64 {
        self.0.settings.pushed_out.get()
    }

    /// Requests that the [controlled delay](crate::ConcurrencyLimit::controlled_delay) refused when their turn came.
    pub fn overdue(&self) -> u64 {
        self.0.settings.overdue.get()
    }

    /// Requests that were refused after the longest wait.
    pub fn timed_out(&self) -> u64 {
        self.0.settings.timed_out.get()
    }

    /// Requests that were refused because their deadline could not be met.
    pub fn past_deadline(&self) -> u64 {
        self.0.settings.past_deadline.get()
    }

    /// Requests whose caller went away while they waited.
    pub fn abandoned(&self) -> u64 {
        self.0.settings.abandoned.get()
    }
}

/// Requests in flight and in the queue, over the limit: 1 when the last slot is taken, more when requests wait.
impl LoadSignal for ConcurrencyLimitHandle {
    #[inline]
    fn load(&self) -> f64 {
        let inside = u64::from(self.0.in_flight()) + u64::from(self.0.queued());
        inside as f64 / f64::from(self.0.settings.limit())
    }
}
