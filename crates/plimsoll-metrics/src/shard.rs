//! The rejections of a gate: one table for each thread that owns a slot and one for all other
//! threads, allocated with the thread's first rejection.

use std::sync::OnceLock;

use plimsoll_core::support::{
    buckets::{Own, Shared},
    claim_slot, slot, slots,
};

use crate::rejections::Rejected;

type Table = OnceLock<Box<Rejected>>;

/// All tables of a gate.
#[derive(Debug)]
pub(crate) struct Shards {
    own: Box<[Table]>,
    /// For threads without a slot.
    shared: Table,
}

impl Shards {
    pub(crate) fn new() -> Self {
        Self {
            own: (0..slots()).map(|_| Table::new()).collect(),
            shared: Table::new(),
        }
    }

    /// Counts a rejection by the policy in `row` of the table.
    pub(crate) fn reject(&self, row: usize, kind: usize, criticality: usize) {
        let claimed = || claim_slot().and_then(|slot| self.own.get(slot));
        match self.own.get(slot()).or_else(claimed) {
            Some(own) => own
                .get_or_init(Box::default)
                .count::<Own>(row, kind, criticality),
            None => (self.shared.get_or_init(Box::default)).count::<Shared>(row, kind, criticality),
        }
    }

    /// The tables that were used.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Rejected> + Clone {
        let all = self.own.iter().chain([&self.shared]);
        all.filter_map(|table| table.get().map(|table| &**table))
    }

    /// Bytes of memory.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&*self.own) + self.iter().count() * size_of::<Rejected>()
    }
}
