//! Run-time settings and counters of `LoadShed`.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use plimsoll_core::support::Ledger;

use crate::{InvalidLoadShed, threshold::Ramp};

/// Settings and counters of one policy, and its signal.
#[derive(Debug)]
pub(crate) struct Shared<L> {
    pub(crate) signal: L,
    ramp: AtomicU64,
    pub(crate) ledger: Ledger,
}

impl<L> Shared<L> {
    pub(crate) fn new(signal: L) -> Self {
        Self {
            signal,
            ramp: AtomicU64::new(Ramp::DEFAULT.to_bits()),
            ledger: Ledger::default(),
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
