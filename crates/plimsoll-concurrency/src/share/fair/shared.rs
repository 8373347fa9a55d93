//! The state that the cells of all keys share.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use plimsoll_core::{
    Criticality,
    policy::{Counter, Epoch},
};
use tokio::time::Instant;

use super::band::{Band, Fill, GOLDEN};
use crate::ConcurrencyLimitHandle;

pub(super) struct Shared {
    pub(super) limit: ConcurrencyLimitHandle,
    pub(super) rejections: Counter,
    epoch: Epoch,
    cells: AtomicU32,
    bands: [Band; Criticality::ALL.len()],
}

impl Shared {
    pub(super) fn new(limit: ConcurrencyLimitHandle) -> Self {
        Self {
            limit,
            rejections: Counter::new(),
            epoch: Epoch::new(),
            cells: AtomicU32::new(0),
            bands: Criticality::ALL.map(|_| Band::new()),
        }
    }

    pub(super) fn next_offset(&self) -> u32 {
        self.cells.fetch_add(1, Relaxed).wrapping_mul(GOLDEN)
    }

    pub(super) fn nanos(&self, now: Instant) -> u64 {
        self.epoch.nanos(now)
    }

    pub(super) fn band(&self, criticality: Criticality) -> &Band {
        &self.bands[criticality as usize]
    }

    /// Whether shares apply: at least 0.9 of the limit is in flight or queued.
    #[inline]
    pub(super) fn nearly_full(&self) -> bool {
        let limit = &self.limit;
        10 * (limit.in_flight() + limit.queued()) >= 9 * limit.limit()
    }

    /// Returns how full the limit is for a criticality.
    ///
    /// Less critical requests do not count: the queue serves this criticality before them, and
    /// evicts them for it. Half of their places in the queue count as slots.
    pub(super) fn fill(&self, criticality: Criticality) -> Fill {
        let sum =
            |bands: &[Band]| -> u32 { bands.iter().map(|band| band.inside.load(Relaxed)).sum() };
        let of = criticality as usize;
        let below = sum(&self.bands[..of]);
        let queued = self.limit.queued() as u32;
        let inside = (self.limit.in_flight() as u32 + queued).saturating_sub(below);
        Fill {
            inside,
            limit: self.limit.limit() as u32 + queued.min(below) / 2,
            own: inside.saturating_sub(sum(&self.bands[of + 1..])),
        }
    }
}
