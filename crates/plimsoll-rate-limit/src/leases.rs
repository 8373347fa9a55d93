//! Leases on a contended bucket: each core takes a batch of tokens at once and spends it on its
//! own.
//!
//! A bucket in one atomic gets slower with every core, because its cache line moves between them.
//! Once two threads have met at the bucket, each core takes a *lease*: it moves the bucket's
//! arrival time forward by a batch, and then holds a stretch of the schedule, `[next, end]`. Its
//! own requests are placed in that stretch one after the other, each at `max(next, now)` for one
//! increment.
//!
//! Leases keep the guarantee of GCRA. A request that GCRA admits at `s` occupies a slot, one
//! increment long, that no other request has. The slot begins at or after `s` and ends at or before
//! `s + capacity`; so at most `burst + t / increment` requests are admitted in any time `t`. Leases
//! do not overlap, and end at most one capacity after they were taken, so the slots in a lease have
//! the same properties. No request is rejected while a lease holds tokens: a request that finds the
//! bucket empty first returns all leases to it.

use std::sync::atomic::{
    AtomicBool,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};

use plimsoll_core::support::shard;

use crate::{
    cell::Cell,
    gcra::Gcra,
    sync::AtomicU64,
    terms::Terms,
    token::{Empty, Token},
    word::{MAX_NOW, Word},
};

/// The smallest lease, in tokens. A smaller one costs more than it saves.
const MIN_BATCH: u64 = 4;
/// All leases together hold at most `1 / SHARE` of a burst.
const SHARE: u32 = 8;
/// The value of `next` while a thread changes the lease.
const LOCKED: u64 = u64::MAX;

/// The leases on one bucket, one per shard.
#[derive(Debug)]
pub(crate) struct Leases {
    shards: Box<[Lease]>,
    /// The batch is `capacity >> shift`.
    shift: u32,
    /// Whether two threads have met at the bucket.
    active: AtomicBool,
}

/// One lease. Performance: on two cache lines of its own, since processors fetch them in pairs.
#[derive(Debug)]
#[repr(align(128))]
struct Lease {
    /// How far the lease is spent, and below it the last bits of the lease's number, so that an old
    /// lease is not taken for a new one.
    next: AtomicU64,
    /// Where the lease ends, and below it the generation of the quota. Written only while `next` is
    /// [`LOCKED`].
    end: AtomicU64,
}

impl Leases {
    /// `count` leases, a power of two. `None` for one.
    pub(crate) fn new(count: usize) -> Option<Self> {
        (count > 1).then(|| Self {
            shards: (0..count).map(|_| Lease::new()).collect(),
            shift: (count as u32 * SHARE).ilog2(),
            active: AtomicBool::new(false),
        })
    }

    /// Whether two threads have met at the bucket. Until then, they take from the bucket directly.
    #[inline]
    pub(crate) fn are_active(&self) -> bool {
        self.active.load(Relaxed)
    }

    /// Notes that two threads have met at the bucket.
    pub(crate) fn activate(&self) {
        self.active.store(true, Relaxed);
    }

    /// Takes from the lease of this thread's shard.
    #[inline]
    pub(crate) fn take<const N: usize>(
        &self,
        bucket: Cell<'_, N>,
        now: u64,
        cost: u32,
    ) -> Result<Token<N>, Empty> {
        self.take_in(shard(), bucket, now, cost)
    }

    #[inline]
    pub(crate) fn take_in<const N: usize>(
        &self,
        shard: usize,
        bucket: Cell<'_, N>,
        now: u64,
        cost: u32,
    ) -> Result<Token<N>, Empty> {
        let now = now.min(MAX_NOW);
        let (generation, terms) = Terms::read(&bucket.quotas[0]);
        let lease = &self.shards[shard % self.shards.len()];
        let spent = Word(lease.next.load(Acquire));
        let end = Word(lease.end.load(Acquire));
        match terms {
            Terms::Bucket(gcra) if end.is_of(generation) && spent.0 != LOCKED => {
                let next = spent.state().max(now) + gcra.increment.saturating_mul(cost.into());
                if next <= end.state() {
                    let to = Word::new(spent.generation(), next);
                    let taken = lease
                        .next
                        .compare_exchange_weak(spent.0, to.0, AcqRel, Relaxed);
                    if taken.is_ok() {
                        return Ok(bucket.token([Word::new(generation, next); N], cost));
                    }
                }
            }
            _ => {}
        }
        self.take_slow(lease, bucket, now, cost)
    }

    /// Takes a new lease and the request's tokens. If the bucket has too few tokens for a lease,
    /// the leases are returned to it and the bucket decides.
    #[cold]
    #[inline(never)]
    fn take_slow<const N: usize>(
        &self,
        lease: &Lease,
        bucket: Cell<'_, N>,
        now: u64,
        cost: u32,
    ) -> Result<Token<N>, Empty> {
        if self.can_lease(bucket, now, cost) {
            if let Some(token) = self.take_lease(lease, bucket, now, cost) {
                return Ok(token);
            }
        }
        // The rest may be less than a token, and would be lost to idle time.
        lease.return_rest(bucket, now);
        match bucket.take(now, cost) {
            // When all leases are used up this only reads, so rejections do not contend.
            Err(Empty { wait: Some(_), .. })
                if self
                    .shards
                    .iter()
                    .any(|lease| lease.return_rest(bucket, now)) =>
            {
                self.shards
                    .iter()
                    .for_each(|lease| _ = lease.return_rest(bucket, now));
                bucket.take(now, cost)
            }
            decided => decided,
        }
    }

    /// Whether the bucket has the tokens for a lease and for the request.
    fn can_lease<const N: usize>(&self, bucket: Cell<'_, N>, now: u64, cost: u32) -> bool {
        let (_, terms, _, tat) = bucket.current(0, now);
        match terms {
            Terms::Bucket(gcra) => {
                let batch = self.batch(gcra);
                let end = tat
                    .max(now)
                    .saturating_add(gcra.increment.saturating_mul(cost.into()));
                batch > 0 && end.saturating_add(batch) <= now + gcra.capacity
            }
            Terms::Window(_) => false,
        }
    }

    /// Takes a new lease and the request's tokens. The rest of the old lease becomes part of the
    /// new one.
    fn take_lease<const N: usize>(
        &self,
        lease: &Lease,
        bucket: Cell<'_, N>,
        now: u64,
        cost: u32,
    ) -> Option<Token<N>> {
        let held = lease.lock()?;
        let left = lease.left(held, now);
        let (mut taken, mut moved_up) = (None, 0);
        let moved = bucket.move_state(now, |generation, terms, tat| {
            let Terms::Bucket(gcra) = terms else {
                return None;
            };
            // The rest of a lease on a replaced quota is dropped.
            let left = if left.is_of(generation) {
                left.state()
            } else {
                0
            };
            let start = tat.saturating_sub(left).max(now);
            let next = start.saturating_add(gcra.increment.saturating_mul(cost.into()));
            let end = next.saturating_add(self.batch(gcra));
            let within = end <= now + gcra.capacity;
            moved_up = lease.moves_up(left, gcra, tat);
            taken = within.then_some((Word::new(generation, next), Word::new(generation, end)));
            within.then_some(end)
        });
        let taken = taken.filter(|_| moved);
        match taken {
            Some((next, end)) => {
                bucket.count_moved(moved_up);
                lease.unlock(held, next.state(), end);
            }
            // The old lease stays.
            None => lease.next.store(held.0, Release),
        }
        taken.map(|(next, _)| bucket.token([next; N], cost))
    }

    /// The length of a lease in nanoseconds; 0 when leases are too small to be worth it.
    #[inline]
    fn batch(&self, gcra: Gcra) -> u64 {
        let batch = gcra.capacity >> self.shift;
        if batch < MIN_BATCH * gcra.increment {
            0
        } else {
            batch
        }
    }

    /// Tokens left in the bucket and in the leases on it.
    pub(crate) fn remaining<const N: usize>(&self, bucket: Cell<'_, N>, now: u64) -> u64 {
        let now = now.min(MAX_NOW);
        let (generation, terms, _, tat) = bucket.current(0, now);
        let leased = self.leased(generation, now);
        terms.remaining(tat.saturating_sub(leased), now)
    }

    /// Nanoseconds of the schedule in leases of this generation.
    fn leased(&self, generation: u64, now: u64) -> u64 {
        let left = self.shards.iter().filter_map(|lease| {
            let spent = Word(lease.next.load(Acquire));
            let left = (spent.0 != LOCKED).then(|| lease.left(spent, now))?;
            left.is_of(generation).then(|| left.state())
        });
        left.sum()
    }
}

impl Lease {
    fn new() -> Self {
        Self {
            next: AtomicU64::new(0),
            end: AtomicU64::new(0),
        }
    }

    /// Locks the lease. Returns what `next` was, or `None` while another thread changes the lease.
    fn lock(&self) -> Option<Word> {
        let mut next = self.next.load(Acquire);
        loop {
            if next == LOCKED {
                return None;
            }
            match self
                .next
                .compare_exchange_weak(next, LOCKED, AcqRel, Acquire)
            {
                Ok(next) => return Some(Word(next)),
                Err(current) => next = current,
            }
        }
    }

    /// Stores a new lease and unlocks it.
    fn unlock(&self, held: Word, next: u64, end: Word) {
        self.end.store(end.0, Release);
        let lease = held.generation() + 1;
        self.next.store(Word::new(lease, next).0, Release);
    }

    /// The rest of the lease, and its generation.
    fn left(&self, spent: Word, now: u64) -> Word {
        let end = Word(self.end.load(Acquire));
        let left = end.state().saturating_sub(spent.state().max(now));
        Word::new(end.generation(), left)
    }

    /// Tokens by which later tokens move up when the rest of the lease is returned to a bucket at
    /// `tat`. 0 when no token was taken after the lease.
    fn moves_up(&self, left: u64, gcra: Gcra, tat: u64) -> u32 {
        if Word(self.end.load(Acquire)).state() == tat {
            return 0;
        }
        u32::try_from(left.div_ceil(gcra.increment.max(1))).unwrap_or(u32::MAX)
    }

    /// Returns the rest of the lease to the bucket. `false` when nothing was left.
    fn return_rest<const N: usize>(&self, bucket: Cell<'_, N>, now: u64) -> bool {
        let spent = Word(self.next.load(Acquire));
        if spent.0 == LOCKED || self.left(spent, now).state() == 0 {
            return false;
        }
        let Some(held) = self.lock() else {
            return false;
        };
        let left = self.left(held, now);
        let mut moved_up = 0;
        bucket.move_state(now, |generation, terms, tat| {
            if let Terms::Bucket(gcra) = terms {
                moved_up = self.moves_up(left.state(), gcra, tat);
            }
            left.is_of(generation)
                .then(|| tat.saturating_sub(left.state()))
        });
        bucket.count_moved(moved_up);
        self.unlock(held, 0, Word::new(0, 0));
        true
    }
}

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod tests;
