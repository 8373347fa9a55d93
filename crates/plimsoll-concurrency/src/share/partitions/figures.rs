//! The figures of partitions, for metrics and dashboards.

use plimsoll_core::figures::{self, Figure, Figures};

use super::{NAME, handle::PartitionsHandle};

/// The sums over all partitions. Names of partitions are values of the program, and labels of figures
/// are constants, so a single partition has none: see [`PartitionsHandle::partitions`].
impl<K: Copy + Send + Sync> Figures for PartitionsHandle<K> {
    fn policy(&self) -> &'static str {
        NAME
    }

    fn read(&self, each: &mut dyn FnMut(&'static Figure, f64)) {
        let all = || self.partitions();
        each(&PARTITIONS, all().count() as f64);
        each(
            &GUARANTEED,
            all().map(|one| one.guarantee).sum::<usize>() as f64,
        );
        // Above its guarantee, a partition uses idle slots of the others.
        let borrowed = all().map(|one| one.in_flight.saturating_sub(one.guarantee));
        each(&BORROWED, borrowed.sum::<usize>() as f64);
        let rejected = all().map(|one| one.rejected).sum::<u64>();
        each(&figures::REJECTED, rejected as f64);
    }
}

static PARTITIONS: Figure = Figure::gauge("partitions", "Partitions of the limit");
static GUARANTEED: Figure = Figure::gauge("guaranteed", "Slots that are guaranteed to partitions");
static BORROWED: Figure = Figure::gauge("borrowed", "Slots in use above the guarantees");
