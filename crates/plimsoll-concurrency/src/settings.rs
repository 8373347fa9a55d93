//! What can be changed while requests run.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use plimsoll_core::Counter;

use crate::{Algorithm, InvalidConcurrency, sampler::Sampler, sync::AtomicU32};

const MAX_LIMIT: usize = 1 << 30;
const MAX_QUEUE_LEN: usize = 1 << 20;
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
const LONGEST_HINT: Duration = Duration::from_secs(86_400);

/// Settings and counters of one policy, or of all the cells of a keyed one.
#[derive(Debug)]
pub(crate) struct Settings {
    limit: AtomicU32,
    /// Length in the upper half, longest wait in microseconds in the lower: a reader sees a pair that somebody set.
    /// 0 is no queue.
    queue: AtomicU64,
    /// Nanoseconds; 0 is an estimate.
    retry_after: AtomicU64,
    /// Where the limit moves by itself.
    pub(crate) sampler: Option<Sampler>,
    pub(crate) rejected: Counter,
    pub(crate) timed_out: Counter,
    pub(crate) past_deadline: Counter,
    pub(crate) abandoned: Counter,
}

impl Settings {
    pub(crate) fn new(limit: usize) -> Result<Self, InvalidConcurrency> {
        Ok(Self {
            limit: AtomicU32::new(checked_limit(limit)?),
            queue: AtomicU64::new(0),
            retry_after: AtomicU64::new(0),
            sampler: None,
            rejected: Counter::new(),
            timed_out: Counter::new(),
            past_deadline: Counter::new(),
            abandoned: Counter::new(),
        })
    }

    pub(crate) fn moved_by(algorithm: Box<dyn Algorithm>) -> Result<Self, InvalidConcurrency> {
        let settings = Self::new(algorithm.initial() as usize)?;
        Ok(Self {
            sampler: Some(Sampler::new(algorithm)),
            ..settings
        })
    }

    #[inline]
    pub(crate) fn limit(&self) -> u32 {
        self.limit.load(Relaxed)
    }

    pub(crate) fn set_limit(&self, limit: usize) -> Result<(), InvalidConcurrency> {
        self.limit.store(checked_limit(limit)?, Relaxed);
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
    ) -> Result<(), InvalidConcurrency> {
        if len == 0 || len > MAX_QUEUE_LEN {
            return Err(InvalidConcurrency::QueueLen(len));
        }
        if max_wait < Duration::from_micros(1) || max_wait > LONGEST_WAIT {
            return Err(InvalidConcurrency::MaxWait(max_wait));
        }
        // An hour is less than 2^32 microseconds.
        let micros = max_wait.as_nanos().div_ceil(1000) as u64;
        self.queue.store(((len as u64) << 32) | micros, Relaxed);
        Ok(())
    }

    pub(crate) fn clear_queue(&self) {
        self.queue.store(0, Relaxed);
    }

    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self.retry_after.load(Relaxed) {
            0 => None,
            nanos => Some(Duration::from_nanos(nanos)),
        }
    }

    pub(crate) fn set_retry_after(&self, hint: Option<Duration>) -> Result<(), InvalidConcurrency> {
        let nanos = match hint {
            None => 0,
            Some(hint) if hint.is_zero() || hint > LONGEST_HINT => {
                return Err(InvalidConcurrency::RetryAfter(hint));
            }
            Some(hint) => hint.as_nanos() as u64,
        };
        self.retry_after.store(nanos, Relaxed);
        Ok(())
    }
}

fn checked_limit(limit: usize) -> Result<u32, InvalidConcurrency> {
    if limit == 0 || limit > MAX_LIMIT {
        return Err(InvalidConcurrency::Limit(limit));
    }
    Ok(limit as u32)
}
