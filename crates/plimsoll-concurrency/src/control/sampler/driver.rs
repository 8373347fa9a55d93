//! The algorithm, and the state that is kept from window to window.

use std::{
    ops::RangeInclusive,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    histogram::{self, Used},
    totals::Totals,
};
use crate::{Algorithm, InvalidLimits, Window, WindowSize};

/// The algorithm, and the state that the next window is compared with.
#[derive(Debug)]
pub(super) struct Driver {
    pub(super) algorithm: Box<dyn Algorithm>,
    /// When the window began, with the counts at that time; `None` if the next call begins it.
    pub(super) since: Option<Instant>,
    pub(super) before: Totals,
    /// Whether this window began when load followed idle time.
    pub(super) after_idle_time: bool,
    /// The time in this window in which no call was answered.
    pub(super) silent: Duration,
    /// The mean latency of the last window.
    pub(super) latency: Duration,
    pub(super) latencies_before: [u32; histogram::BUCKETS],
    /// The lowest mean latency of a window, in nanoseconds; it rises slowly.
    lowest: f64,
    /// Recent latencies, with lower weights for older windows, and the buckets that are not empty.
    recent: [f32; histogram::BUCKETS],
    used: Used,
}

/// The latencies of a window.
pub(super) struct Latencies {
    pub(super) counts: [u32; histogram::BUCKETS],
    pub(super) used: Used,
    /// The number of sampled calls.
    pub(super) looked_at: u64,
}

/// The weight of a window's latencies after the next window: 0.9, so about ten windows make up a
/// percentile.
const DECAY: f32 = 0.9;
/// The factor by which the lowest mean rises with each window: 1.003, half as much again after 135
/// windows. So the percentiles follow a service that has become slower.
const RISE: f64 = 1.003;

impl Driver {
    pub(super) fn new(algorithm: Box<dyn Algorithm>) -> Self {
        Self {
            algorithm,
            since: None,
            before: Totals::default(),
            after_idle_time: false,
            silent: Duration::ZERO,
            latency: Duration::ZERO,
            latencies_before: [0; histogram::BUCKETS],
            lowest: f64::INFINITY,
            recent: [0.0; histogram::BUCKETS],
            used: Used::default(),
        }
    }

    /// Changes the algorithm's bounds. If it panics, it keeps its own.
    pub(super) fn set_bounds(&mut self, within: RangeInclusive<u32>) -> Result<(), InvalidLimits> {
        let set = || self.algorithm.set_bounds(within);
        catch_unwind(AssertUnwindSafe(set)).unwrap_or(Ok(()))
    }

    /// Returns the least size of a window: at least one call, and one second if the algorithm
    /// panics.
    pub(super) fn size(&self) -> WindowSize {
        let size = || {
            if self.after_idle_time {
                self.algorithm.window_after_idle_time()
            } else {
                self.algorithm.window()
            }
        };
        let size = catch_unwind(AssertUnwindSafe(size));
        let size = size.unwrap_or(WindowSize {
            time: Duration::from_secs(1),
            samples: 1,
        });
        WindowSize {
            samples: size.samples.max(1),
            ..size
        }
    }

    /// Adds the latencies of a window with a low mean, in which few calls waited inside the
    /// service.
    pub(super) fn remember(&mut self, window: &Window, mean: f64, own: &Latencies) {
        if window.answered > 0 {
            self.lowest = (self.lowest * RISE).min(mean.max(1.0));
            self.latency = window.latency;
        }
        if mean < 1.5 * self.lowest {
            let weight = window.answered as f32 / own.each() as f32;
            self.used = self.used.union(own.used);
            for bucket in self.used.buckets() {
                let count = own.counts[bucket] as f32 * weight;
                self.recent[bucket] = self.recent[bucket] * DECAY + count;
            }
        }
    }

    /// Returns the lowest recent mean latency.
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

    /// Returns the number of sampled calls, at least 1.
    pub(super) fn each(&self) -> f64 {
        (self.looked_at as f64).max(1.0)
    }

    pub(super) fn deviation(&self, mean: f64) -> Duration {
        Duration::from_nanos(histogram::deviation(&self.counts, self.used, mean) as u64)
    }
}
