//! The load signals of a registry.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use plimsoll_core::LoadSignal;

use crate::InvalidMetric;

/// Bound of load signals: all are read in each scrape.
const MAX_SIGNALS: usize = 64;

/// A load signal and its name.
#[derive(Clone)]
pub(crate) struct Signal {
    pub(crate) name: String,
    pub(crate) signal: Arc<dyn LoadSignal + Send + Sync>,
}

/// The load signals by name.
#[derive(Default)]
pub(crate) struct Signals(RwLock<Arc<Vec<Signal>>>);

impl Signals {
    pub(crate) fn add(
        &self,
        name: String,
        signal: Arc<dyn LoadSignal + Send + Sync>,
    ) -> Result<(), InvalidMetric> {
        let mut signals = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if signals.iter().any(|known| known.name == name) {
            return Err(InvalidMetric::Duplicate { name });
        }
        if signals.len() >= MAX_SIGNALS {
            return Err(InvalidMetric::Full {
                what: "load signals",
                max: MAX_SIGNALS,
            });
        }
        Arc::make_mut(&mut signals).push(Signal { name, signal });
        Ok(())
    }

    /// All of them, to be read outside of the lock, as gauges are.
    pub(crate) fn all(&self) -> Arc<Vec<Signal>> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signals = self.0.read().unwrap_or_else(PoisonError::into_inner);
        f.debug_set()
            .entries(signals.iter().map(|signal| &signal.name))
            .finish()
    }
}
