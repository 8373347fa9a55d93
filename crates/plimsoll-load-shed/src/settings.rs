//! What can be changed while requests run, and what is counted.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use plimsoll_core::{Counter, Criticality};

use crate::{InvalidLoadShed, threshold::Ramp};

const DEFAULT_HINT: Duration = Duration::from_secs(1);
const LONGEST_HINT: Duration = Duration::from_secs(86_400);

/// How long refused callers are told to stay away.
#[derive(Debug)]
pub(crate) struct Hint(AtomicU64);

impl Hint {
    pub(crate) fn get(&self) -> Duration {
        Duration::from_nanos(self.0.load(Relaxed))
    }

    pub(crate) fn set(&self, hint: Duration) -> Result<(), InvalidLoadShed> {
        if hint.is_zero() || hint > LONGEST_HINT {
            return Err(InvalidLoadShed::RetryAfter(hint));
        }
        self.0.store(hint.as_nanos() as u64, Relaxed);
        Ok(())
    }
}

impl Default for Hint {
    fn default() -> Self {
        Self(AtomicU64::new(DEFAULT_HINT.as_nanos() as u64))
    }
}

/// A counter for each criticality.
#[derive(Debug, Default)]
pub(crate) struct Tally([Counter; 4]);

impl Tally {
    #[inline]
    pub(crate) fn add(&self, criticality: Criticality) {
        self.0[criticality as usize].add();
    }

    pub(crate) fn get(&self, criticality: Criticality) -> u64 {
        self.0[criticality as usize].get()
    }
}

/// Settings and counters of one policy, and its signal.
#[derive(Debug)]
pub(crate) struct Shared<L> {
    pub(crate) signal: L,
    ramp: AtomicU64,
    pub(crate) retry_after: Hint,
    pub(crate) admitted: Tally,
    pub(crate) shed: Tally,
}

impl<L> Shared<L> {
    pub(crate) fn new(signal: L) -> Self {
        Self {
            signal,
            ramp: AtomicU64::new(Ramp::DEFAULT.to_bits()),
            retry_after: Hint::default(),
            admitted: Tally::default(),
            shed: Tally::default(),
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
}
