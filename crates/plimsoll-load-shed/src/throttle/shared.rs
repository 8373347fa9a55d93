//! What the services of one policy share.

use std::time::Duration;

use plimsoll_core::{Class, Criticality, Epoch};
use tokio::time::Instant;

use super::window::{BUCKETS, Window};
use crate::{
    InvalidLoadShed,
    ledger::Ledger,
    sync::{AtomicU64, Ordering::Relaxed},
};

const DEFAULT_MULTIPLIER: f64 = 2.0;
const DEFAULT_WINDOW: Duration = Duration::from_secs(120);
const WINDOWS: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(3600);
const DEFAULT_FEWEST: u64 = 10;

/// Requests and accepts of one criticality.
#[derive(Debug)]
pub(crate) struct Counts {
    pub(crate) requests: Window,
    pub(crate) accepts: Window,
}

#[derive(Debug)]
pub(crate) struct Shared {
    counts: [Counts; 4],
    epoch: Epoch,
    /// Nanoseconds of a bucket.
    tick: AtomicU64,
    /// The bits of a float.
    multiplier: AtomicU64,
    pub(crate) fewest: AtomicU64,
    pub(crate) ledger: Ledger,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            counts: std::array::from_fn(|_| Counts {
                requests: Window::new(),
                accepts: Window::new(),
            }),
            epoch: Epoch::new(),
            tick: AtomicU64::new(DEFAULT_WINDOW.as_nanos() as u64 / BUCKETS as u64),
            multiplier: AtomicU64::new(DEFAULT_MULTIPLIER.to_bits()),
            fewest: AtomicU64::new(DEFAULT_FEWEST),
            ledger: Ledger::default(),
        }
    }
}

impl Shared {
    pub(crate) fn counts(&self, criticality: Criticality) -> &Counts {
        &self.counts[criticality as usize]
    }

    #[inline]
    pub(crate) fn tick(&self, now: Instant) -> u32 {
        (self.epoch.nanos(now) / self.tick.load(Relaxed)) as u32
    }

    pub(crate) fn set_window(&self, window: Duration) -> Result<(), InvalidLoadShed> {
        if !WINDOWS.contains(&window) {
            return Err(InvalidLoadShed::ThrottleWindow(window));
        }
        let tick = window.as_nanos() as u64 / BUCKETS as u64;
        self.tick.store(tick, Relaxed);
        Ok(())
    }

    pub(crate) fn multiplier(&self) -> f64 {
        f64::from_bits(self.multiplier.load(Relaxed))
    }

    pub(crate) fn set_multiplier(&self, multiplier: f64) -> Result<(), InvalidLoadShed> {
        if !(1.0..=100.0).contains(&multiplier) {
            return Err(InvalidLoadShed::Multiplier(multiplier));
        }
        self.multiplier.store(multiplier.to_bits(), Relaxed);
        Ok(())
    }

    /// The part of the requests of this criticality that is to be shed.
    #[inline]
    pub(crate) fn probability(&self, criticality: Criticality, tick: u32) -> f64 {
        let counts = self.counts(criticality);
        let requests = counts.requests.count(tick);
        if requests < self.fewest.load(Relaxed) {
            return 0.0;
        }
        probability(requests, counts.accepts.count(tick), self.multiplier())
    }
}

/// `max(0, (requests - K * accepts) / (requests + 1))`.
pub(crate) fn probability(requests: u64, accepts: u64, multiplier: f64) -> f64 {
    let requests = requests as f64;
    ((requests - multiplier * accepts as f64) / (requests + 1.0)).max(0.0)
}

/// Whether a call that ended like this was accepted; `None` when it says nothing.
pub(crate) fn accepted(class: Class, only_overload: bool) -> Option<bool> {
    match class {
        Class::Success => Some(true),
        Class::Failure => Some(only_overload),
        Class::Overloaded => Some(false),
        _ => None,
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// From the SRE book's formula; the figures are those of the field's other implementations.
    #[test]
    fn the_formula_gives_the_known_values() {
        for (requests, accepts, multiplier, expected) in [
            (0, 0, 2.0, 0.0),
            (2, 0, 2.0, 0.666_667),
            (100, 100, 2.0, 0.0),
            (100, 50, 2.0, 0.0),
            (100, 49, 2.0, 0.019_802),
            (100, 25, 2.0, 0.495_050),
            (100, 0, 2.0, 0.990_099),
            (1000, 0, 2.0, 0.999_001),
            (100, 90, 1.1, 0.009_901),
            (100, 50, 1.1, 0.445_545),
            (1000, 500, 2.0, 0.0),
            (1000, 400, 2.0, 0.199_800),
            (1000, 250, 2.0, 0.499_500),
            (1000, 100, 2.0, 0.799_201),
        ] {
            let got = probability(requests, accepts, multiplier);
            assert!(
                (got - expected).abs() < 1e-6,
                "({requests}, {accepts}) with K {multiplier}: {got}"
            );
        }
    }
}
