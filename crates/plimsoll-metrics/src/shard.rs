//! Counters of a gate, one set for each thread that owns a slot and one for all other threads.

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use plimsoll_core::{
    Class, Outcome,
    policy::End,
    support::{claim_slot, slot, slots},
};

use crate::{
    buckets::{Buckets, Own, Shared, Write},
    rejections::Rejected,
};

/// Counters of classes; the last takes classes that a later core may add.
pub(crate) const CLASSES: usize = Class::ALL.len() + 1;

/// The position of a class.
#[inline]
pub(crate) const fn index(class: Class) -> usize {
    let index = class.index();
    if index < CLASSES - 1 {
        index
    } else {
        CLASSES - 1
    }
}

/// Requests between two whose permit time is measured, on average. A clock read costs as much as
/// all other recording of a request; one in 16 adds less than 2 ns (`instructions`,
/// `adaptive-metrics@accept`).
pub(crate) const PERMIT_EVERY: u64 = 16;

/// The counters of one writer, on its own cache lines (two, since processors fetch them in pairs).
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Shard {
    pub(crate) admitted: AtomicU64,
    pub(crate) finished: [AtomicU64; CLASSES],
    /// Ends until the next whose permit time is measured. Threads that share it may lose a step.
    permit_in: AtomicU64,
    pub(crate) latency: Buckets,
    pub(crate) permit: Buckets,
    pub(crate) abandoned: AtomicU64,
    pub(crate) body_dropped: AtomicU64,
    pub(crate) missing_keys: AtomicU64,
    rejected: OnceLock<Box<Rejected>>,
}

impl Shard {
    /// Counts an end. Returns whether its permit time is to be measured.
    fn end<W: Write>(&self, outcome: &Outcome) -> bool {
        if outcome.body_dropped() {
            W::add(&self.body_dropped, 1);
        }
        if !matches!(
            outcome.class,
            Class::Cancelled | Class::Overloaded | Class::Rejected
        ) {
            self.latency.record::<W>(outcome.latency_nanos());
        }
        W::add(&self.finished[index(outcome.class)], 1);
        let left = self.permit_in.load(Relaxed);
        self.permit_in.store(left.saturating_sub(1), Relaxed);
        left == 0
    }

    /// As [`end`](Self::end) by the owner, for a success with a head, in an octave that was
    /// used before, whose permit time is not measured. Returns `false`, and has done nothing, for
    /// any other end.
    #[inline]
    fn end_quickly(&self, end: End, head_nanos: u64) -> bool {
        let left = self.permit_in.load(Relaxed);
        if end.class != Class::Success || end.body_dropped || left == 0 {
            return false;
        }
        // A call without a head is beyond the range.
        let Some(count) = self.latency.count(head_nanos) else {
            return false;
        };
        Own::add(count, 1);
        Own::add(&self.latency.nanos, head_nanos);
        self.permit_in.store(left - 1, Relaxed);
        Own::add(&self.finished[Class::Success.index()], 1);
        true
    }

    /// The rejections, if there were any.
    pub(crate) fn rejected(&self) -> Option<&Rejected> {
        self.rejected.get().map(|rejected| &**rejected)
    }

    fn bytes(&self) -> usize {
        let rejected = self.rejected().map_or(0, |_| size_of::<Rejected>());
        size_of::<Self>() + self.latency.bytes() + self.permit.bytes() + rejected
    }
}

/// All shards of a gate.
#[derive(Debug)]
pub(crate) struct Shards {
    own: Box<[Shard]>,
    /// For threads without a slot.
    shared: Box<Shard>,
}

/// Evaluates `$body` with the shard of this thread, as its only writer or as one of several.
macro_rules! on_own_shard {
    ($shards:expr, |$shard:ident, $write:ident| $body:expr) => {
        match $shards.own.get(slot()) {
            Some($shard) => {
                type $write = Own;
                $body
            }
            None => match $shards.claimed() {
                Some($shard) => {
                    type $write = Own;
                    $body
                }
                None => {
                    type $write = Shared;
                    let $shard = &*$shards.shared;
                    $body
                }
            },
        }
    };
}

impl Shards {
    pub(crate) fn new() -> Self {
        Self {
            own: (0..slots()).map(|_| Shard::default()).collect(),
            shared: Box::default(),
        }
    }

    /// The shard of a slot that is claimed now.
    #[cold]
    fn claimed(&self) -> Option<&Shard> {
        self.own.get(claim_slot()?)
    }

    #[inline]
    pub(crate) fn admit(&self) {
        match self.own.get(slot()) {
            Some(shard) => Own::add(&shard.admitted, 1),
            None => self.admit_first(),
        }
    }

    #[cold]
    #[inline(never)]
    fn admit_first(&self) {
        on_own_shard!(self, |shard, W| W::add(&shard.admitted, 1));
    }

    /// Counts a usual end, if this thread is known to own a shard.
    #[inline]
    pub(crate) fn end_quickly(&self, end: End, head_nanos: u64) -> bool {
        let own = self.own.get(slot());
        own.is_some_and(|shard| shard.end_quickly(end, head_nanos))
    }

    /// Counts an end. Returns whether its permit time is to be measured.
    pub(crate) fn end(&self, outcome: &Outcome) -> bool {
        on_own_shard!(self, |shard, W| shard.end::<W>(outcome))
    }

    /// Records a permit time, and after how many further ends of this thread the next is measured.
    pub(crate) fn record_permit(&self, nanos: u64, next: u64) {
        on_own_shard!(self, |shard, W| {
            shard.permit.record::<W>(nanos);
            shard.permit_in.store(next, Relaxed);
        });
    }

    pub(crate) fn abandon(&self) {
        on_own_shard!(self, |shard, W| W::add(&shard.abandoned, 1));
    }

    pub(crate) fn miss_key(&self) {
        on_own_shard!(self, |shard, W| W::add(&shard.missing_keys, 1));
    }

    /// Counts a rejection by the policy in `row` of the table.
    pub(crate) fn reject(&self, row: usize, kind: usize, criticality: usize) {
        on_own_shard!(self, |shard, W| {
            let rejected = shard.rejected.get_or_init(Box::default);
            rejected.count::<W>(row, kind, criticality);
        });
    }

    /// All shards, to be read.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Shard> + Clone {
        self.own.iter().chain([&*self.shared])
    }

    /// Bytes of memory.
    pub(crate) fn bytes(&self) -> usize {
        self.iter().map(Shard::bytes).sum()
    }
}
