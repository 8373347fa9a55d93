//! The counters of a gate that a recorder exports: one set for each thread that owns a slot and one
//! for all other threads.
//!
//! Performance: in this crate, so that the gate counts a usual request inline
//! (`instructions`, `adaptive-metrics@accept`). Gates without a recorder carry none.

pub mod buckets;
pub mod layout;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use self::buckets::{Buckets, Own, Shared, Write};
#[cfg(not(loom))]
use crate::slot::claim_slot;
use crate::{
    Class, End, Outcome,
    slot::{slot, slots},
};

const SUCCESS: usize = Class::Success.index();
const _: () = assert!(SUCCESS == 0);

/// The counters of one writer, on its own cache lines (two, since processors fetch them in pairs).
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Shard {
    /// Admissions.
    pub admitted: AtomicU64,
    /// Ends by the index of their class.
    pub finished: [AtomicU64; Class::ALL.len()],
    /// The permit time of the first end from this number of successes on is measured. Threads that
    /// share it may lose a step.
    measured_at: AtomicU64,
    /// Request to head.
    pub latency: Buckets,
    /// Requests that left a queue.
    pub abandoned: AtomicU64,
    /// Ends of bodies that the caller dropped.
    pub body_dropped: AtomicU64,
    /// Requests without a key.
    pub missing_keys: AtomicU64,
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
        let successes = self.finished[SUCCESS].load(Relaxed);
        let measured_at = self.measured_at.load(Relaxed);
        if outcome.class != Class::Success {
            // Such an end is one step nearer, too.
            let nearer = measured_at.saturating_sub(1);
            self.measured_at.store(nearer, Relaxed);
        }
        W::add(&self.finished[outcome.class.index()], 1);
        successes >= measured_at
    }

    /// As [`end`](Self::end) by the owner, for a success with a head, in an octave that was
    /// used before, whose permit time is not measured. Returns `false`, and has done nothing, for
    /// any other end.
    #[inline]
    fn end_quickly(&self, end: End, head_nanos: u64) -> bool {
        let successes = self.finished[SUCCESS].load(Relaxed);
        // Performance: one test for both (`instructions`, `adaptive-metrics@accept`).
        let is_usual = end.class.index() | usize::from(end.body_dropped) == SUCCESS;
        if !is_usual || successes >= self.measured_at.load(Relaxed) {
            return false;
        }
        // A call without a head is beyond the range.
        let Some(count) = self.latency.count(head_nanos) else {
            return false;
        };
        Own::add(count, 1);
        Own::add(&self.latency.nanos, head_nanos);
        Own::add(&self.finished[SUCCESS], 1);
        true
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.latency.bytes()
    }
}

/// All counters of a gate that its usual requests write to.
#[derive(Debug)]
pub struct Recorder {
    own: Box<[Shard]>,
    /// For threads without a slot.
    shared: Box<Shard>,
}

/// Evaluates `$body` with the shard of this thread, as its only writer or as one of several.
macro_rules! on_own_shard {
    ($recorder:expr, |$shard:ident, $write:ident| $body:expr) => {
        match $recorder.claimed() {
            Some($shard) => {
                type $write = Own;
                $body
            }
            None => {
                type $write = Shared;
                let $shard = &*$recorder.shared;
                $body
            }
        }
    };
}

impl Recorder {
    /// Counters at 0: a shard for each slot, and one for all threads without.
    #[allow(
        clippy::new_without_default,
        reason = "as large as the number of processors"
    )]
    pub fn new() -> Self {
        Self {
            own: (0..slots()).map(|_| Shard::default()).collect(),
            shared: Box::default(),
        }
    }

    /// The shard of this thread, which claims a slot if it has not yet. `None` without a free slot.
    fn claimed(&self) -> Option<&Shard> {
        #[cfg(not(loom))]
        let claim = claim_slot;
        #[cfg(loom)]
        let claim = || None::<usize>;
        self.own
            .get(slot())
            .or_else(|| claim().and_then(|slot| self.own.get(slot)))
    }

    /// Counts an admission, if this thread is known to own a shard. `false`: it did nothing.
    #[inline]
    pub fn admit_quickly(&self) -> bool {
        let Some(shard) = self.own.get(slot()) else {
            return false;
        };
        Own::add(&shard.admitted, 1);
        true
    }

    /// Counts an admission.
    pub fn admit(&self) {
        on_own_shard!(self, |shard, W| W::add(&shard.admitted, 1));
    }

    /// Counts a usual end, if this thread is known to own a shard. `false`: it did nothing.
    #[inline]
    pub fn end_quickly(&self, end: End, head_nanos: u64) -> bool {
        let own = self.own.get(slot());
        own.is_some_and(|shard| shard.end_quickly(end, head_nanos))
    }

    /// Counts an end. Returns whether its permit time is to be measured.
    pub fn end(&self, outcome: &Outcome) -> bool {
        on_own_shard!(self, |shard, W| shard.end::<W>(outcome))
    }

    /// Sets after how many further ends on this thread [`end`](Self::end) asks for the next permit
    /// time.
    pub fn measure_after(&self, ends: u64) {
        let shard = self.claimed().unwrap_or(&self.shared);
        let next = shard.finished[SUCCESS].load(Relaxed) + ends;
        shard.measured_at.store(next, Relaxed);
    }

    /// Counts a request that left a queue.
    pub fn abandon(&self) {
        on_own_shard!(self, |shard, W| W::add(&shard.abandoned, 1));
    }

    /// Counts a request without a key.
    pub fn miss_key(&self) {
        on_own_shard!(self, |shard, W| W::add(&shard.missing_keys, 1));
    }

    /// All shards, to be read.
    pub fn shards(&self) -> impl Iterator<Item = &Shard> + Clone {
        self.own.iter().chain([&*self.shared])
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        self.shards().map(Shard::bytes).sum()
    }
}
