//! Rates and counters, and the handle that reads and changes them.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use plimsoll_core::support::LiveRates;

use crate::{InvalidRates, Rates};

#[derive(Debug)]
pub(crate) struct Shared {
    rates: LiveRates,
    /// The rate of the latest request, as bits.
    latest: AtomicU64,
    kept: AtomicU64,
    skipped: AtomicU64,
}

impl Shared {
    pub(crate) fn new(rates: Rates) -> Result<Self, InvalidRates> {
        Ok(Self {
            latest: AtomicU64::new(rates.base.to_bits()),
            rates: LiveRates::new(rates)?,
            kept: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
        })
    }

    #[inline]
    pub(crate) fn rates(&self) -> Rates {
        self.rates.get()
    }

    /// Keeps the rate of a request for the figures. Written only when it differs, so that cores
    /// share the line while the load is steady.
    #[inline]
    pub(crate) fn keep_rate(&self, rate: f64) {
        let bits = rate.to_bits();
        if self.latest.load(Relaxed) != bits {
            self.latest.store(bits, Relaxed);
        }
    }

    #[inline]
    fn counter(&self, keep: bool) -> &AtomicU64 {
        if keep { &self.kept } else { &self.skipped }
    }

    #[inline]
    pub(crate) fn count(&self, keep: bool) {
        self.counter(keep).fetch_add(1, Relaxed);
    }

    #[inline]
    pub(crate) fn uncount(&self, keep: bool) {
        self.counter(keep).fetch_sub(1, Relaxed);
    }
}

/// Reads and changes a [`Sampling`](crate::Sampling) at run time. Clones share it.
#[derive(Debug, Clone)]
pub struct SamplingHandle(Arc<Shared>);

impl SamplingHandle {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    /// The rates.
    pub fn rates(&self) -> Rates {
        self.0.rates()
    }

    /// Changes all rates atomically, from the next request on.
    ///
    /// # Errors
    ///
    /// As for [`Sampling::new`](crate::Sampling::new). On error nothing changes.
    pub fn set_rates(&self, rates: Rates) -> Result<(), InvalidRates> {
        self.0.rates.set(rates)
    }

    /// The rate of the latest request; the base rate before the first.
    pub fn latest_rate(&self) -> f64 {
        f64::from_bits(self.0.latest.load(Relaxed))
    }

    /// Requests that were kept. Requests that a later policy or an inner gate rejected are not
    /// counted.
    pub fn kept(&self) -> u64 {
        self.0.kept.load(Relaxed)
    }

    /// Requests that were left out: marked and served, or rejected by the sampling itself.
    pub fn skipped(&self) -> u64 {
        self.0.skipped.load(Relaxed)
    }
}
