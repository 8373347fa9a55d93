//! The counters of a gate that a recorder exports: one set for each thread that owns a slot and one
//! for all other threads.
//!
//! Performance: in this crate, so that the gate counts a usual request inline
//! (`instructions`, `adaptive-metrics@accept`). Gates without a recorder carry none.

pub mod buckets;
pub mod layout;
mod sampled;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use self::buckets::{Buckets, Own, Shared, Write};
use self::sampled::Sampled;
#[cfg(not(loom))]
use crate::slot::claim_slot;
use crate::{
    Class, End, Outcome,
    outcome::NO_HEAD,
    slot::{slot, slots},
};

const SUCCESS: usize = Class::Success.index();
const _: () = assert!(SUCCESS == 0);

/// The counters of one writer, on its own cache lines: pairs, since processors fetch them in pairs.
///
/// Performance: also the permit times, of which every 128th request has one. In a histogram that
/// all threads share, a request took 1.4 times as long on two threads
/// (`benches --bin metrics -- --pairs`).
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
    /// Admission to the end of the body, of a sample.
    pub permits: Sampled,
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

    /// As [`end`](Self::end) by the owner, for a success with a head whose permit time is not
    /// measured. Returns `false`, and has done nothing, for any other end.
    #[inline]
    fn end_quickly(&self, end: End, head_nanos: u64) -> bool {
        let successes = &self.finished[SUCCESS];
        // Performance: one test for both (`instructions`, `adaptive-metrics@accept`).
        let is_success = end.class.index() | usize::from(end.body_dropped) == SUCCESS;
        if !is_success || successes.load(Relaxed) >= self.measured_at.load(Relaxed) {
            return false;
        }
        let Some(count) = self.latency.count(head_nanos) else {
            return self.end_long(head_nanos);
        };
        Own::add(count, 1);
        Own::add(&self.latency.nanos, head_nanos);
        Own::add(successes, 1);
        true
    }

    /// Performance: out of line, so that the usual end saves no register (`instructions`,
    /// `gate-metrics@accept`).
    #[cold]
    #[inline(never)]
    fn end_long(&self, head_nanos: u64) -> bool {
        if head_nanos == NO_HEAD {
            return false;
        }
        self.latency.record::<Own>(head_nanos);
        Own::add(&self.finished[SUCCESS], 1);
        true
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.latency.bytes() + self.permits.bytes()
    }
}

/// The shards that have one writer, by its slot. Clones share them.
///
/// Performance: a gate holds this list itself, and an empty one without a recorder, so that one
/// comparison finds a thread without a shard and a gate without a recorder (`instructions`,
/// `adaptive-metrics@accept`).
#[derive(Debug, Clone, Default)]
pub struct Owned(Arc<[Shard]>);

impl Owned {
    /// Counts an admission, if this thread is known to own a shard. `false`: it did nothing.
    #[inline]
    pub fn admit_quickly(&self) -> bool {
        let Some(shard) = self.0.get(slot()) else {
            return false;
        };
        Own::add(&shard.admitted, 1);
        true
    }

    /// Counts a usual end, if this thread is known to own a shard. `false`: it did nothing.
    #[inline]
    pub fn end_quickly(&self, end: End, head_nanos: u64) -> bool {
        let own = self.0.get(slot());
        own.is_some_and(|shard| shard.end_quickly(end, head_nanos))
    }
}

/// All counters of a gate that its usual requests write to.
///
/// On cache lines of its own: its list is read for each request, beside what others write to.
#[derive(Debug)]
#[repr(align(128))]
pub struct Recorder {
    own: Owned,
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
            own: Owned((0..slots()).map(|_| Shard::default()).collect()),
            shared: Box::default(),
        }
    }

    /// The shard of this thread, which claims a slot if it has not yet. `None` without a free slot.
    fn claimed(&self) -> Option<&Shard> {
        #[cfg(not(loom))]
        let claim = claim_slot;
        #[cfg(loom)]
        let claim = || None::<usize>;
        let Owned(own) = &self.own;
        own.get(slot())
            .or_else(|| claim().and_then(|slot| own.get(slot)))
    }

    /// The shards that have one writer.
    pub fn owned(&self) -> &Owned {
        &self.own
    }

    /// Counts an admission.
    pub fn admit(&self) {
        on_own_shard!(self, |shard, W| W::add(&shard.admitted, 1));
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

    /// Counts the permit time of a request. Returns `false`, and has done nothing, if this thread
    /// owns no shard or its count is at the maximum.
    pub fn permit(&self, nanos: u64) -> bool {
        let own = self.claimed();
        own.is_some_and(|shard| shard.permits.record(nanos))
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
        self.own.0.iter().chain([&*self.shared])
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        self.shards().map(Shard::bytes).sum()
    }
}
