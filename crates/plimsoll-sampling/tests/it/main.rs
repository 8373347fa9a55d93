//! Behaviour through the public API.

mod contract;
mod figures;
mod live;
mod panics;
mod rates;
mod rejected;
mod requests;
mod statistics;
mod traces;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use plimsoll_core::LoadSignal;

/// A load that tests set.
#[derive(Clone, Default)]
struct Load(Arc<AtomicU64>);

impl Load {
    fn new(load: f64) -> Self {
        let this = Self::default();
        this.set(load);
        this
    }

    fn set(&self, load: f64) {
        self.0.store(load.to_bits(), Relaxed);
    }
}

impl LoadSignal for Load {
    fn load(&self) -> f64 {
        f64::from_bits(self.0.load(Relaxed))
    }
}
