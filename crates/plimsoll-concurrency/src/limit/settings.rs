//! What can be changed while requests run.

use std::{
    sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use plimsoll_core::{Counter, Epoch};
use tokio::time::Instant;

use super::{
    average::Average,
    change::{Callbacks, LimitChange},
    error::InvalidConcurrencyLimit,
    value::Value,
};
use crate::{
    Algorithm, LimitReason, Tuning,
    control::sampler::Sampler,
    queue::{Order, Rules, codel::Control},
};

const MAX_QUEUE_LEN: usize = 1 << 20;
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
const LONGEST_HINT: Duration = Duration::from_secs(86_400);
/// The longest estimated hint unless another is set. A minute: most overloads are over or known to
/// people by then, and a caller that stays away for longer costs more than one more rejection.
/// `hint::slow_bodies_make_no_hint_longer_than_a_minute` fails with another value.
const DEFAULT_MAX_HINT: Duration = Duration::from_secs(60);
const LONGEST_INTERVAL: Duration = Duration::from_secs(60);
const LONGEST_SERVICE: Duration = Duration::from_secs(3600);
/// How long a response may stay unread unless another time is set: 10 seconds. A mobile client that
/// changes cells or loses packets is silent for a few; a longer silence costs a slot that others
/// wait for. The CIS benchmark recommends the same for nginx' `send_timeout` (default 60), which
/// cuts the response off. Here it continues, so an error costs little.
/// `stalls::the_default_is_ten_seconds` fails with another value.
const DEFAULT_MAX_STALL: Duration = Duration::from_secs(10);
/// Shorter stalls occur in congested networks.
const SHORTEST_STALL: Duration = Duration::from_millis(100);
const LONGEST_STALL: Duration = Duration::from_secs(3600);

/// Settings and counters of one policy, or of all the cells of a keyed one.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) value: Value,
    pub(crate) callbacks: Callbacks,
    /// Length in the upper half, longest wait in microseconds in the lower: a reader sees a pair that somebody set.
    /// 0 is no queue.
    queue: AtomicU64,
    /// Nanoseconds; 0 is an estimate.
    retry_after: AtomicU64,
    /// Bound of the estimate in nanoseconds.
    max_retry_after: AtomicU64,
    /// How long a response may stay unread, in nanoseconds; 0 is for ever.
    max_stall: AtomicU64,
    /// Time as integers, for averages and stalls.
    epoch: Epoch,
    /// Where the limit moves by itself.
    pub(crate) sampler: Option<Sampler>,
    /// Index in [`Order::ALL`].
    order: AtomicU8,
    /// Target in the upper half, interval in the lower, in microseconds. 0 is none.
    control: AtomicU64,
    /// The 99th percentile of the time the service takes, in nanoseconds; 0 is not known.
    service_p99: AtomicU64,
    /// The same, as it was measured: of use where nobody stated it.
    measured_p99: AtomicU64,
    measured_p90: AtomicU64,
    /// How long calls take now, while all slots are taken.
    lately: Average,
    pub(crate) rejected: Counter,
    pub(crate) pushed_out: Counter,
    pub(crate) overdue: Counter,
    pub(crate) timed_out: Counter,
    pub(crate) past_deadline: Counter,
    pub(crate) abandoned: Counter,
    /// Slots that were reclaimed from callers that stopped reading.
    pub(crate) stalled: AtomicU64,
}

impl Settings {
    pub(crate) fn new(limit: usize) -> Result<Self, InvalidConcurrencyLimit> {
        Ok(Self {
            value: Value::new(limit)?,
            callbacks: Callbacks::default(),
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
            lately: Average::new(),
            rejected: Counter::new(),
            pushed_out: Counter::new(),
            overdue: Counter::new(),
            timed_out: Counter::new(),
            past_deadline: Counter::new(),
            abandoned: Counter::new(),
            stalled: AtomicU64::new(0),
        })
    }

    pub(crate) fn moved_by(
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

    /// Changes the limit by `change`, and calls the callbacks if it did.
    pub(crate) fn change_limit(
        &self,
        reason: LimitReason,
        change: impl FnOnce(&Value) -> Result<(), InvalidConcurrencyLimit>,
    ) -> Result<(), InvalidConcurrencyLimit> {
        let from = self.value.get() as usize;
        change(&self.value)?;
        let to = self.value.get() as usize;
        if from != to {
            self.callbacks.call(&LimitChange { from, to, reason });
        }
        Ok(())
    }

    /// How many may wait, and for how long; `None` without a queue.
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

    /// What a turn in the queue depends on.
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

    /// What a request has to have left when its turn comes. One that has waited has paid for its place: where nobody
    /// stated a time, a request that is in time nine times in ten is let in. The 90th percentile is of quiet times: when
    /// calls queue inside the service, as in the first moments of a flood, it is what the last ones took.
    pub(crate) fn service_time_at_turn(&self) -> Duration {
        let nanos = match self.service_p99.load(Relaxed) {
            0 => {
                let lately = self.lately.nanos();
                self.measured_p90.load(Relaxed).max(lately)
            }
            stated => stated,
        };
        Duration::from_nanos(nanos)
    }

    /// A call has ended at `now`, with this latency, while all slots were taken. One that was cut off
    /// would have taken longer, so it never lowers the average.
    pub(crate) fn took(&self, latency: Duration, cut_off: bool, now: u64) {
        if !cut_off || latency > Duration::from_nanos(self.lately.nanos()) {
            self.lately.take(latency, now);
        }
    }

    /// Nanoseconds to `now` from some moment, the same one for all averages and stalls.
    pub(crate) fn nanos(&self, now: Instant) -> u64 {
        self.epoch.nanos(now)
    }

    /// The instant that is this number of nanoseconds after the epoch.
    pub(crate) fn instant(&self, nanos: u64) -> Option<Instant> {
        self.epoch.instant(nanos)
    }

    /// How long a response may stay unread, in nanoseconds; `None` is for ever.
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

    /// What a request has to have left before it waits. Zero when it is not known.
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

    /// The 90th and 99th percentiles of the time the service takes were measured.
    pub(crate) fn measured(&self, p90: Duration, p99: Duration) {
        self.measured_p90.store(p90.as_nanos() as u64, Relaxed);
        self.measured_p99.store(p99.as_nanos() as u64, Relaxed);
    }

    /// Requests that were refused, for whatever reason.
    pub(crate) fn rejected(&self) -> u64 {
        let counters = [
            &self.rejected,
            &self.pushed_out,
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

/// Neither at once nor never.
fn is_hint(hint: Duration) -> bool {
    !hint.is_zero() && hint <= LONGEST_HINT
}

/// Whole microseconds, rounded up. An hour is less than 2^32 of them.
fn micros(time: Duration) -> u64 {
    time.as_nanos().div_ceil(1000) as u64
}
