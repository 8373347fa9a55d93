//! Whether an item is kept, and how many it represents.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use fastrand::Rng;
use plimsoll_core::{InvalidRates, LoadSignal, Rates, support::LiveRates};

/// Keeps a share of the items of a stream that falls as the load rises.
///
/// The load is read for each item, most often the fill level of the queue that the items go to.
/// Up to the threshold of the [`Rates`] each item is kept, and above it a share that falls linearly.
/// A kept item has a weight, the number of items that it represents: `1 / rate`. The sum of the
/// weights is an unbiased estimate of the number of items, as long as the rate is above 0.
///
/// Items are drawn at random and independently. [`stream`](Self::stream) has an example.
///
/// # Algorithm
///
/// The linear rule of `plimsoll-sampling`, and the Horvitz-Thompson estimator for the weights. The
/// relative standard error of a count of `n` kept items is `sqrt((1 - rate) / n)`.
#[doc(alias("sample", "adaptive sampling", "load-adaptive"))]
pub struct Sampler<L> {
    signal: L,
    rng: Rng,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    rates: LiveRates,
    kept: AtomicU64,
    skipped: AtomicU64,
}

/// Reads and changes a [`Sampler`] while it is in use. Clones share it.
#[derive(Debug, Clone)]
pub struct SamplerHandle(Arc<Shared>);

impl<L: LoadSignal> Sampler<L> {
    /// Samples by the load of `signal`, at these rates, with a random seed.
    ///
    /// # Errors
    ///
    /// When `base` is not above 0 and at most 1, `min` not in 0 to `base`, or `threshold` not at
    /// least 0 and below 1.
    pub fn new(signal: L, rates: Rates) -> Result<Self, InvalidRates> {
        let shared = Shared {
            rates: LiveRates::new(rates)?,
            kept: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
        };
        Ok(Self {
            signal,
            rng: Rng::new(),
            shared: Arc::new(shared),
        })
    }

    /// Decides about the next item: its weight if it is kept, or `None` if it is to be skipped.
    ///
    /// For producers that are no streams. The load is read now, and the item is counted.
    pub fn draw(&mut self) -> Option<f64> {
        let rate = self.shared.rates.get().rate(self.signal.load());
        // Every draw is below 1.
        let keep = rate >= 1.0 || self.rng.f64() < rate;
        let counter = if keep {
            &self.shared.kept
        } else {
            &self.shared.skipped
        };
        counter.fetch_add(1, Relaxed);
        keep.then(|| rate.recip())
    }
}

impl<L> Sampler<L> {
    /// Sets the seed of the random generator: the same seed and loads keep the same items.
    pub fn seed(mut self, seed: u64) -> Self {
        self.rng = Rng::with_seed(seed);
        self
    }

    /// Returns the handle, which changes the rates and reads the counters.
    pub fn handle(&self) -> SamplerHandle {
        SamplerHandle(Arc::clone(&self.shared))
    }
}

impl SamplerHandle {
    /// Returns the rates in force.
    pub fn rates(&self) -> Rates {
        self.0.rates.get()
    }

    /// Changes all rates at once, from the next item on.
    ///
    /// # Errors
    ///
    /// As for [`Sampler::new`]. On error nothing changes.
    pub fn set_rates(&self, rates: Rates) -> Result<(), InvalidRates> {
        self.0.rates.set(rates)
    }

    /// Returns how many items were kept.
    pub fn kept(&self) -> u64 {
        self.0.kept.load(Relaxed)
    }

    /// Returns how many items were skipped.
    pub fn skipped(&self) -> u64 {
        self.0.skipped.load(Relaxed)
    }
}

impl<L> fmt::Debug for Sampler<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sampler")
            .field("rates", &self.shared.rates.get())
            .field("kept", &self.shared.kept)
            .field("skipped", &self.shared.skipped)
            .finish_non_exhaustive()
    }
}
