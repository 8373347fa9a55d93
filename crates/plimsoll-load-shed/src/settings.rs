//! What can be changed while requests run, and what is counted.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use plimsoll_core::Counter;

use crate::{InvalidLoadShed, threshold::Ramp};

const DEFAULT_HINT: Duration = Duration::from_secs(1);
const LONGEST_HINT: Duration = Duration::from_secs(86_400);

/// Settings and counters of one policy, and its signal.
#[derive(Debug)]
pub(crate) struct Shared<L> {
    pub(crate) signal: L,
    ramp: AtomicU64,
    /// Nanoseconds.
    retry_after: AtomicU64,
    /// By criticality, least important first.
    pub(crate) admitted: [Counter; 4],
    pub(crate) shed: [Counter; 4],
}

impl<L> Shared<L> {
    pub(crate) fn new(signal: L) -> Self {
        Self {
            signal,
            ramp: AtomicU64::new(Ramp::DEFAULT.to_bits()),
            retry_after: AtomicU64::new(DEFAULT_HINT.as_nanos() as u64),
            admitted: Default::default(),
            shed: Default::default(),
        }
    }

    #[inline]
    pub(crate) fn ramp(&self) -> Ramp {
        Ramp::from_bits(self.ramp.load(Relaxed))
    }

    pub(crate) fn set_ramp(&self, start: f64, full: f64) -> Result<(), InvalidLoadShed> {
        self.ramp.store(Ramp::new(start, full)?.to_bits(), Relaxed);
        Ok(())
    }

    pub(crate) fn retry_after(&self) -> Duration {
        Duration::from_nanos(self.retry_after.load(Relaxed))
    }

    pub(crate) fn set_retry_after(&self, hint: Duration) -> Result<(), InvalidLoadShed> {
        if hint.is_zero() || hint > LONGEST_HINT {
            return Err(InvalidLoadShed::RetryAfter(hint));
        }
        self.retry_after.store(hint.as_nanos() as u64, Relaxed);
        Ok(())
    }
}
