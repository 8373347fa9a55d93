//! How long a job takes on average.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// An exponentially weighted moving average, with an eighth for the newest value.
#[derive(Debug, Default)]
pub(super) struct Ewma {
    /// Nanoseconds; 0 before the first value.
    nanos: AtomicU64,
}

impl Ewma {
    /// Two workers at the same moment may lose one of their values.
    pub(super) fn add(&self, value: Duration) {
        let value = u64::try_from(value.as_nanos()).unwrap_or(u64::MAX).max(1);
        let mean = match self.nanos.load(Relaxed) {
            0 => value,
            mean => mean - mean / 8 + value / 8,
        };
        self.nanos.store(mean.max(1), Relaxed);
    }

    pub(super) fn get(&self) -> Option<Duration> {
        let nanos = self.nanos.load(Relaxed);
        (nanos != 0).then(|| Duration::from_nanos(nanos))
    }
}
