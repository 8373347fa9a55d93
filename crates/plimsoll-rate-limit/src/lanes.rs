//! A hot bucket on several cores: each takes tokens from a lease of its own, and goes to the bucket once per lease.
//!
//! A bucket in one atomic gets slower with every core that takes from it: its cache line travels. So, once two of them
//! have met there, cores *lease*: a lane moves the bucket's arrival time on by a batch at once, and then holds a stretch of time, `[next, end]`, in
//! which its own requests are placed one after the other, each at `max(next, now)` for one increment.
//!
//! This is as exact as the bucket is. A request that GCRA lets in at `s` has a slot, one increment long, that no other has, which
//! begins no earlier than `s` and ends no later than `s + capacity`; hence never more than `burst + t / increment` requests in any
//! time `t`. Leases do not overlap and end no later than one capacity after they were taken, so slots within them are just such
//! slots. And nobody is refused while a lease holds tokens: who finds the bucket empty calls all leases back first.

use std::sync::atomic::{
    AtomicBool,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};

use plimsoll_core::lane;

use crate::{
    cell::{Cell, Empty, Token},
    gcra::Gcra,
    sync::AtomicU64,
    terms::Terms,
    word::{MAX_NOW, Word},
};

/// A lease of fewer tokens saves nothing.
const MIN_BATCH: u64 = 4;
/// All leases together hold at most one part in so many of a burst.
const SHARE: u32 = 8;
/// `next` of a lane whose lease is being changed.
const BUSY: u64 = u64::MAX;

/// Where the cores' leases are.
#[derive(Debug)]
pub(crate) struct Lanes {
    leases: Box<[Lane]>,
    /// A batch is the capacity, shifted by so much.
    shift: u32,
    /// Two threads have met at the bucket.
    hot: AtomicBool,
}

/// On cache lines of its own (two, since processors fetch them in pairs).
#[derive(Debug)]
#[repr(align(128))]
struct Lane {
    /// How far the lease is spent, and below it the last bits of the lease's number: no lease is taken for another.
    next: AtomicU64,
    /// Where the lease ends, and below it the generation of the quota. Changed only while `next` is [`BUSY`].
    end: AtomicU64,
}

impl Lanes {
    /// So many lanes, a power of two; none in the place of one.
    pub(crate) fn new(lanes: usize) -> Option<Self> {
        (lanes > 1).then(|| Self {
            leases: (0..lanes).map(|_| Lane::new()).collect(),
            shift: (lanes as u32 * SHARE).ilog2(),
            hot: AtomicBool::new(false),
        })
    }

    /// Whether threads have met at the bucket: until then they take from it, and from then on from leases.
    #[inline]
    pub(crate) fn are_hot(&self) -> bool {
        self.hot.load(Relaxed)
    }

    /// Two threads have met.
    pub(crate) fn heat(&self) {
        self.hot.store(true, Relaxed);
    }

    /// Takes from the lease of this thread's lane.
    #[inline]
    pub(crate) fn take<const N: usize>(
        &self,
        bucket: Cell<'_, N>,
        now: u64,
        cost: u32,
    ) -> Result<Token<N>, Empty> {
        self.take_in(lane(), bucket, now, cost)
    }

    #[inline]
    pub(crate) fn take_in<const N: usize>(
        &self,
        lane: usize,
        bucket: Cell<'_, N>,
        now: u64,
        cost: u32,
    ) -> Result<Token<N>, Empty> {
        let now = now.min(MAX_NOW);
        let (generation, terms) = Terms::read(&bucket.quotas[0]);
        let lane = &self.leases[lane % self.leases.len()];
        let spent = Word(lane.next.load(Acquire));
        let end = Word(lane.end.load(Acquire));
        if let Terms::Bucket(gcra) = terms
            && end.is_of(generation)
            && spent.0 != BUSY
        {
            let next = spent.state().max(now) + gcra.increment.saturating_mul(cost.into());
            if next <= end.state() {
                let to = Word::new(spent.generation(), next);
                let taken = lane
                    .next
                    .compare_exchange_weak(spent.0, to.0, AcqRel, Relaxed);
                if taken.is_ok() {
                    return Ok(bucket.token([Word::new(generation, next); N], cost));
                }
            }
        }
        self.take_elsewhere(lane, bucket, now, cost)
    }

    /// The lease is used up: another is taken, the request's share with it. When the bucket has none to give, what
    /// leases hold goes back there, and the bucket decides.
    #[cold]
    #[inline(never)]
    fn take_elsewhere<const N: usize>(
        &self,
        lane: &Lane,
        bucket: Cell<'_, N>,
        now: u64,
        cost: u32,
    ) -> Result<Token<N>, Empty> {
        if self.can_lease(bucket, now, cost)
            && let Some(token) = self.lease(lane, bucket, now, cost)
        {
            return Ok(token);
        }
        // What is left may be less than a token, and would be lost to idle time.
        lane.call_back(bucket, now);
        match bucket.take(now, cost) {
            // Where all leases are used up, this only reads: refusals do not get in each other's way.
            Err(Empty { wait: Some(_), .. })
                if self.leases.iter().any(|lane| lane.call_back(bucket, now)) =>
            {
                self.leases
                    .iter()
                    .for_each(|lane| _ = lane.call_back(bucket, now));
                bucket.take(now, cost)
            }
            decided => decided,
        }
    }

    /// Whether the bucket has a lease to give, and what is asked for.
    fn can_lease<const N: usize>(&self, bucket: Cell<'_, N>, now: u64, cost: u32) -> bool {
        let (_, terms, _, tat) = bucket.look(0, now);
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

    /// Takes a new lease, and of it what is asked for. What was left of the old one goes into it.
    fn lease<const N: usize>(
        &self,
        lane: &Lane,
        bucket: Cell<'_, N>,
        now: u64,
        cost: u32,
    ) -> Option<Token<N>> {
        let held = lane.lock()?;
        let left = lane.left(held, now);
        let (mut taken, mut moved_up) = (None, 0);
        let moved = bucket.move_state(now, |generation, terms, tat| {
            let Terms::Bucket(gcra) = terms else {
                return None;
            };
            // A lease under another quota is forfeit.
            let left = if left.is_of(generation) {
                left.state()
            } else {
                0
            };
            let start = tat.saturating_sub(left).max(now);
            let next = start.saturating_add(gcra.increment.saturating_mul(cost.into()));
            let end = next.saturating_add(self.batch(gcra));
            let within = end <= now + gcra.capacity;
            moved_up = lane.moves_up(left, gcra, tat);
            taken = within.then_some((Word::new(generation, next), Word::new(generation, end)));
            within.then_some(end)
        });
        let taken = taken.filter(|_| moved);
        match taken {
            Some((next, end)) => {
                bucket.count_moved(moved_up);
                lane.unlock(held, next.state(), end);
            }
            // It keeps what it has.
            None => lane.next.store(held.0, Release),
        }
        taken.map(|(next, _)| bucket.token([next; N], cost))
    }

    /// How much time a lease takes from the bucket, or 0 where none is worth it.
    #[inline]
    fn batch(&self, gcra: Gcra) -> u64 {
        let batch = gcra.capacity >> self.shift;
        if batch < MIN_BATCH * gcra.increment {
            0
        } else {
            batch
        }
    }

    /// Time in leases, of this generation.
    pub(crate) fn leased(&self, generation: u64, now: u64) -> u64 {
        let left = self.leases.iter().filter_map(|lane| {
            let spent = Word(lane.next.load(Acquire));
            let left = (spent.0 != BUSY).then(|| lane.left(spent, now))?;
            left.is_of(generation).then(|| left.state())
        });
        left.sum()
    }
}

impl Lane {
    fn new() -> Self {
        Self {
            next: AtomicU64::new(0),
            end: AtomicU64::new(0),
        }
    }

    /// What `next` was, or `None` when somebody else is about to change the lease.
    fn lock(&self) -> Option<Word> {
        let mut next = self.next.load(Acquire);
        loop {
            if next == BUSY {
                return None;
            }
            match self.next.compare_exchange_weak(next, BUSY, AcqRel, Acquire) {
                Ok(next) => return Some(Word(next)),
                Err(current) => next = current,
            }
        }
    }

    /// A new lease.
    fn unlock(&self, held: Word, next: u64, end: Word) {
        self.end.store(end.0, Release);
        let lease = held.generation() + 1;
        self.next.store(Word::new(lease, next).0, Release);
    }

    /// How much is left of the lease, and its generation.
    fn left(&self, spent: Word, now: u64) -> Word {
        let end = Word(self.end.load(Acquire));
        let left = end.state().saturating_sub(spent.state().max(now));
        Word::new(end.generation(), left)
    }

    /// Tokens by which later tokens move up when the rest of the lease is given back to a bucket at
    /// `tat`. 0 when no token was taken after the lease.
    fn moves_up(&self, left: u64, gcra: Gcra, tat: u64) -> u32 {
        if Word(self.end.load(Acquire)).state() == tat {
            return 0;
        }
        u32::try_from(left.div_ceil(gcra.increment.max(1))).unwrap_or(u32::MAX)
    }

    /// Gives what is left of the lease back to the bucket; `false` when that is nothing.
    fn call_back<const N: usize>(&self, bucket: Cell<'_, N>, now: u64) -> bool {
        let spent = Word(self.next.load(Acquire));
        if spent.0 == BUSY || self.left(spent, now).state() == 0 {
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
