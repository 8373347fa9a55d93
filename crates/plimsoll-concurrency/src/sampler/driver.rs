//! The algorithm, and what is remembered from window to window.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use tokio::time::Instant;

use super::totals::Totals;
use crate::{
    Algorithm, Window, WindowSize,
    histogram::{self, Used},
};

/// The algorithm, and what the next window is compared with.
#[derive(Debug)]
pub(super) struct Driver {
    pub(super) algorithm: Box<dyn Algorithm>,
    /// When the last window ended, and what had been counted by then.
    pub(super) since: Option<Instant>,
    pub(super) before: Totals,
    /// Of the time since then, that in which nothing was answered.
    pub(super) silent: Duration,
    /// The last window's mean.
    pub(super) latency: Duration,
    pub(super) latencies_before: [u32; histogram::BUCKETS],
    /// The lowest mean of a window, in nanoseconds; it creeps up.
    lowest: f64,
    /// Latencies of late, older windows weighing less, and where there are any.
    recent: [f32; histogram::BUCKETS],
    used: Used,
}

/// The latencies of a window.
pub(super) struct Latencies {
    pub(super) counts: [u32; histogram::BUCKETS],
    pub(super) used: Used,
    /// How many there are.
    pub(super) looked_at: u64,
}

/// What a window's latencies weigh after the next.
const FADE: f32 = 0.9;
/// How fast the lowest mean is forgotten, a window.
const CREEP: f64 = 1.003;

impl Driver {
    pub(super) fn new(algorithm: Box<dyn Algorithm>) -> Self {
        Self {
            algorithm,
            since: None,
            before: Totals::default(),
            silent: Duration::ZERO,
            latency: Duration::ZERO,
            latencies_before: [0; histogram::BUCKETS],
            lowest: f64::INFINITY,
            recent: [0.0; histogram::BUCKETS],
            used: Used::default(),
        }
    }

    /// How much a window holds; at least one call, and one of a second where the algorithm panics.
    pub(super) fn size(&self) -> WindowSize {
        let size = catch_unwind(AssertUnwindSafe(|| self.algorithm.window()));
        let size = size.unwrap_or(WindowSize {
            time: Duration::from_secs(1),
            samples: 1,
        });
        WindowSize {
            samples: size.samples.max(1),
            ..size
        }
    }

    /// What the service needs is seen when little waits in it: in the windows of the lowest latencies of late.
    pub(super) fn remember(&mut self, window: &Window, mean: f64, own: &Latencies) {
        if window.answered > 0 {
            self.lowest = (self.lowest * CREEP).min(mean.max(1.0));
            self.latency = window.latency;
        }
        if mean < 1.5 * self.lowest {
            let weight = window.answered as f32 / own.each() as f32;
            self.used = self.used.and(own.used);
            for bucket in self.used.buckets() {
                let count = own.counts[bucket] as f32 * weight;
                self.recent[bucket] = self.recent[bucket] * FADE + count;
            }
        }
    }

    /// The lowest recent mean latency.
    pub(super) fn lowest(&self) -> Duration {
        let known = self.lowest.is_finite();
        Duration::from_nanos(if known { self.lowest as u64 } else { 0 })
    }

    pub(super) fn quantile(&self, part: f32) -> Duration {
        let nanos = histogram::quantile(&self.recent, self.used, part);
        Duration::from_nanos(nanos as u64)
    }
}

impl Latencies {
    pub(super) fn none() -> Self {
        Self {
            counts: [0; histogram::BUCKETS],
            used: Used::default(),
            looked_at: 0,
        }
    }

    /// What a sum over them is divided by.
    pub(super) fn each(&self) -> f64 {
        (self.looked_at as f64).max(1.0)
    }

    pub(super) fn deviation(&self, mean: f64) -> Duration {
        Duration::from_nanos(histogram::deviation(&self.counts, self.used, mean) as u64)
    }
}
