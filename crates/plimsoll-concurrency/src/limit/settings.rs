//! Settings that can be changed at run time, and the counters.

use std::{
    sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use plimsoll_core::policy::{Counter, Epoch};
use tokio::time::Instant;

use super::{
    average::Average,
    change::{ChangeCallbacks, LimitChange},
    error::InvalidConcurrencyLimit,
    value::Value,
};
use crate::{
    Algorithm, LimitReason, Tuning,
    control::sampler::Sampler,
    queue::{Order, Rules, codel::Control},
};

/// The longest queue, in requests. It keeps the summary of the queue within 30 bits; `settings`
/// fails with another value.
const MAX_QUEUE_LEN: usize = 1 << 20;
/// The highest `max_wait`: 1 hour, which fits 32 bits in microseconds.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
/// The highest retry hint: 1 day. A longer one keeps callers away for good.
const LONGEST_HINT: Duration = Duration::from_secs(86_400);
/// The default of the longest estimated hint: 1 minute. Most overloads have ended or known to
/// operators by then, and a caller that stays away for longer costs more than one more rejection.
/// `hint::slow_bodies_make_no_hint_longer_than_a_minute` fails with another value.
const DEFAULT_MAX_HINT: Duration = Duration::from_secs(60);
/// The longest interval of the controlled delay: 1 minute. With a longer one most overloads would
/// be over before they are detected.
const LONGEST_INTERVAL: Duration = Duration::from_secs(60);
/// The highest `service_time`: 1 hour, the highest `max_wait`.
const LONGEST_SERVICE: Duration = Duration::from_secs(3600);
/// The default of the longest stall: 10 seconds. A mobile client that changes cells or loses
/// packets is silent for a few seconds; a longer silence costs a slot that waiters need. The CIS
/// benchmark recommends the same for nginx's `send_timeout` (default 60 seconds), which cuts the
/// response off. Here the response continues, so a wrong decision costs little.
/// `stalls::the_default_is_ten_seconds` fails with another value.
pub(super) const DEFAULT_MAX_STALL: Duration = Duration::from_secs(10);
/// The shortest `max_stall`: 100 milliseconds. Shorter stalls occur in congested networks.
const SHORTEST_STALL: Duration = Duration::from_millis(100);
/// The highest `max_stall`: 1 hour.
const LONGEST_STALL: Duration = Duration::from_secs(3600);

/// Settings and counters of one limit, or of all the cells of a keyed one.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) value: Value,
    pub(crate) callbacks: ChangeCallbacks,
    /// Length in the upper half, longest wait in microseconds in the lower, so both are read
    /// together. 0 is no queue.
    queue: AtomicU64,
    /// Nanoseconds; 0 is to be estimated.
    retry_after: AtomicU64,
    /// Bound of the estimate, in nanoseconds.
    max_retry_after: AtomicU64,
    /// How long a response may stay unread, in nanoseconds; 0 is unlimited.
    max_stall: AtomicU64,
    /// The origin of times as integers, for averages and stalls.
    epoch: Epoch,
    /// Present if the limit is adaptive.
    pub(crate) sampler: Option<Sampler>,
    /// Index in [`Order::ALL`].
    order: AtomicU8,
    /// Target in the upper half, interval in the lower, both in microseconds. 0 is unset.
    control: AtomicU64,
    /// The 99th percentile of the service time as set, in nanoseconds; 0 is not set.
    service_p99: AtomicU64,
    /// The measured 99th percentile, used when none was set.
    measured_p99: AtomicU64,
    measured_p90: AtomicU64,
    /// The latency of recent calls that ended while all slots were taken.
    recent: Average,
    pub(crate) rejected: Counter,
    pub(crate) evicted: Counter,
    pub(crate) overdue: Counter,
    pub(crate) timed_out: Counter,
    pub(crate) past_deadline: Counter,
    pub(crate) abandoned: Counter,
    /// Slots that were reclaimed from unread responses.
    pub(crate) stalled: AtomicU64,
}

impl Settings {
    pub(crate) fn new(limit: usize) -> Result<Self, InvalidConcurrencyLimit> {
        Ok(Self {
            value: Value::new(limit)?,
            callbacks: ChangeCallbacks::default(),
            queue: AtomicU64::new(0),
            retry_after: AtomicU64::new(0),
            max_retry_after: AtomicU64::new(DEFAULT_MAX_HINT.as_nanos() as u64),
            max_stall: AtomicU64::new(DEFAULT_MAX_STALL.as_nanos() as u64),
            epoch: Epoch::new(),
            sampler: None,
            order: AtomicU8::new(0),
            control: AtomicU64::new(0),
            service_p99: AtomicU64::new(0),
            measured_p99: AtomicU64::new(0),
            measured_p90: AtomicU64::new(0),
            recent: Average::new(),
            rejected: Counter::new(),
            evicted: Counter::new(),
            overdue: Counter::new(),
            timed_out: Counter::new(),
            past_deadline: Counter::new(),
            abandoned: Counter::new(),
            stalled: AtomicU64::new(0),
        })
    }

    pub(crate) fn with_algorithm(
        algorithm: Box<dyn Algorithm>,
        tuning: &Tuning,
    ) -> Result<Self, InvalidConcurrencyLimit> {
        let settings = Self::new(algorithm.initial() as usize)?;
        settings.value.set_bounds(&algorithm.bounds());
        Ok(Self {
            sampler: Some(Sampler::new(algorithm, tuning)),
            ..settings
        })
    }

    #[inline]
    pub(crate) fn limit(&self) -> u32 {
        self.value.get()
    }

    /// Changes the limit with `change`, and calls the callbacks if the value differs.
    pub(crate) fn change_limit(
        &self,
        reason: LimitReason,
        change: impl FnOnce(&Value) -> Result<(), InvalidConcurrencyLimit>,
    ) -> Result<(), InvalidConcurrencyLimit> {
        let from = self.value.get() as usize;
        change(&self.value)?;
        let to = self.value.get() as usize;
        if from != to {
            let change = LimitChange { from, to, reason };
            self.callbacks.each(|callback| callback(&change));
        }
        Ok(())
    }

    /// The queue's length and its longest wait; `None` without a queue.
    #[inline]
    pub(crate) fn queue(&self) -> Option<(u32, Duration)> {
        match self.queue.load(Relaxed) {
            0 => None,
            pair => Some((
                (pair >> 32) as u32,
                Duration::from_micros(pair & 0xffff_ffff),
            )),
        }
    }

    pub(crate) fn set_queue(
        &self,
        len: usize,
        max_wait: Duration,
    ) -> Result<(), InvalidConcurrencyLimit> {
        if len == 0 || len > MAX_QUEUE_LEN {
            return Err(InvalidConcurrencyLimit::QueueLen(len));
        }
        if max_wait < Duration::from_micros(1) || max_wait > LONGEST_WAIT {
            return Err(InvalidConcurrencyLimit::MaxWait(max_wait));
        }
        self.queue
            .store(((len as u64) << 32) | micros(max_wait), Relaxed);
        Ok(())
    }

    pub(crate) fn clear_queue(&self) {
        self.queue.store(0, Relaxed);
    }

    /// The settings that decide which waiter is next.
    pub(crate) fn rules(&self) -> Rules {
        Rules {
            order: self.order(),
            control: self.control(),
            service_time: self.service_time_at_turn(),
        }
    }

    pub(crate) fn order(&self) -> Order {
        let index = usize::from(self.order.load(Relaxed));
        Order::ALL.get(index).copied().unwrap_or_default()
    }

    pub(crate) fn set_order(&self, order: Order) {
        self.order.store(order as u8, Relaxed);
    }

    pub(crate) fn control(&self) -> Option<Control> {
        match self.control.load(Relaxed) {
            0 => None,
            pair => Some(Control {
                target: Duration::from_micros(pair >> 32),
                interval: Duration::from_micros(pair & 0xffff_ffff),
            }),
        }
    }

    pub(crate) fn set_control(
        &self,
        target: Duration,
        interval: Duration,
    ) -> Result<(), InvalidConcurrencyLimit> {
        if interval > LONGEST_INTERVAL {
            return Err(InvalidConcurrencyLimit::Interval(interval));
        }
        let whole = micros(interval);
        if target.is_zero() || target >= interval || micros(target) >= whole {
            return Err(InvalidConcurrencyLimit::Target { target, interval });
        }
        self.control.store((micros(target) << 32) | whole, Relaxed);
        Ok(())
    }

    pub(crate) fn clear_control(&self) {
        self.control.store(0, Relaxed);
    }

    /// How much time a request must have left when a slot becomes free for it.
    ///
    /// A waiter has already paid for its place, so when no time was set it is admitted if nine of
    /// ten such requests would be in time. The measured 90th percentile is of windows without
    /// queueing; when calls queue inside the service, as at the start of a flood, the latency of
    /// recent calls is longer and is used instead.
    pub(crate) fn service_time_at_turn(&self) -> Duration {
        let nanos = match self.service_p99.load(Relaxed) {
            0 => {
                let recent = self.recent.nanos();
                self.measured_p90.load(Relaxed).max(recent)
            }
            stated => stated,
        };
        Duration::from_nanos(nanos)
    }

    /// Records the latency of a call that ended at `now` while all slots were taken. A call that
    /// was cut off would have taken longer, so it never lowers the average.
    pub(crate) fn record_latency(&self, latency: Duration, cut_off: bool, now: u64) {
        if !cut_off || latency > Duration::from_nanos(self.recent.nanos()) {
            self.recent.take(latency, now);
        }
    }

    /// Nanoseconds from the epoch of all averages and stalls to `now`.
    pub(crate) fn nanos(&self, now: Instant) -> u64 {
        self.epoch.nanos(now)
    }

    /// The instant this many nanoseconds after the epoch.
    pub(crate) fn instant(&self, nanos: u64) -> Option<Instant> {
        self.epoch.instant(nanos)
    }

    /// How long a response may stay unread, in nanoseconds; `None` is unlimited.
    #[inline]
    pub(crate) fn max_stall(&self) -> Option<u64> {
        Some(self.max_stall.load(Relaxed)).filter(|nanos| *nanos != 0)
    }

    pub(crate) fn set_max_stall(
        &self,
        longest: Option<Duration>,
    ) -> Result<(), InvalidConcurrencyLimit> {
        let nanos = match longest {
            None => 0,
            Some(longest) if !(SHORTEST_STALL..=LONGEST_STALL).contains(&longest) => {
                return Err(InvalidConcurrencyLimit::MaxStall(longest));
            }
            Some(longest) => longest.as_nanos() as u64,
        };
        self.max_stall.store(nanos, Relaxed);
        Ok(())
    }

    /// How much time a request must have left to be queued; zero when unknown.
    pub(crate) fn service_time(&self) -> Duration {
        match self.service_p99.load(Relaxed) {
            0 => Duration::from_nanos(self.measured_p99.load(Relaxed)),
            stated => Duration::from_nanos(stated),
        }
    }

    pub(crate) fn set_service_time(
        &self,
        time: Option<Duration>,
    ) -> Result<(), InvalidConcurrencyLimit> {
        let nanos = match time {
            None => 0,
            Some(time) if time.is_zero() || time > LONGEST_SERVICE => {
                return Err(InvalidConcurrencyLimit::ServiceTime(time));
            }
            Some(time) => time.as_nanos() as u64,
        };
        self.service_p99.store(nanos, Relaxed);
        Ok(())
    }

    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self.retry_after.load(Relaxed) {
            0 => None,
            nanos => Some(Duration::from_nanos(nanos)),
        }
    }

    /// Stores the measured 90th and 99th percentiles of the service time.
    pub(crate) fn measured(&self, p90: Duration, p99: Duration) {
        self.measured_p90.store(p90.as_nanos() as u64, Relaxed);
        self.measured_p99.store(p99.as_nanos() as u64, Relaxed);
    }

    /// Requests that were rejected, for any reason.
    pub(crate) fn rejected(&self) -> u64 {
        let counters = [
            &self.rejected,
            &self.evicted,
            &self.overdue,
            &self.timed_out,
            &self.past_deadline,
        ];
        counters
            .iter()
            .map(|counter| counter.get())
            .fold(0, u64::wrapping_add)
    }

    pub(crate) fn set_retry_after(
        &self,
        hint: Option<Duration>,
    ) -> Result<(), InvalidConcurrencyLimit> {
        let nanos = match hint {
            None => 0,
            Some(hint) if !is_hint(hint) => return Err(InvalidConcurrencyLimit::RetryAfter(hint)),
            Some(hint) => hint.as_nanos() as u64,
        };
        self.retry_after.store(nanos, Relaxed);
        Ok(())
    }

    pub(crate) fn max_retry_after(&self) -> Duration {
        Duration::from_nanos(self.max_retry_after.load(Relaxed))
    }

    pub(crate) fn set_max_retry_after(&self, max: Duration) -> Result<(), InvalidConcurrencyLimit> {
        if !is_hint(max) {
            return Err(InvalidConcurrencyLimit::MaxRetryAfter(max));
        }
        self.max_retry_after.store(max.as_nanos() as u64, Relaxed);
        Ok(())
    }
}

/// Whether a hint is longer than zero and at most the longest.
fn is_hint(hint: Duration) -> bool {
    !hint.is_zero() && hint <= LONGEST_HINT
}

/// Whole microseconds, rounded up. One hour is less than 2^32 microseconds.
fn micros(time: Duration) -> u64 {
    time.as_nanos().div_ceil(1000) as u64
}
