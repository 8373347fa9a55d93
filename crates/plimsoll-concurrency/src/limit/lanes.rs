//! Free slots that stay on the core where they were given back.
//!
//! A count in one atomic gets slower with every core that counts in it: its cache line travels. So, once two of them have
//! met there, each core has a *lane*: a slot that is given back stays in the lane, still counted as taken, and
//! the next request on that core takes it from there. In the steady state nobody touches the shared count.
//!
//! A lane is one word, open or closed, and every change of it is one atomic operation. Closing takes what is in it in the
//! same operation, and from then on slots that are given back go to the shared count: none can slip into a
//! lane behind the back of one who looks for a free slot. [`Slots`](crate::limit::slots::Slots) says when.

use std::sync::{
    PoisonError,
    atomic::Ordering::{AcqRel, Acquire, Relaxed, Release},
};

use crate::sync::{AtomicU64, Mutex, MutexGuard};

/// All lanes together hold at most one part in so many of the limit.
const SHARE: u32 = 4;

/// A lane for each core.
#[derive(Debug)]
pub(crate) struct Lanes {
    /// As many as a power of two.
    each: Box<[Lane]>,
    /// A lane keeps the limit, shifted by so much.
    shift: u32,
    /// How often they have been closed. Whoever holds it closes them.
    closings: Mutex<u32>,
}

/// On cache lines of its own (two, since processors fetch them in pairs).
#[derive(Debug)]
#[repr(align(128))]
struct Lane(AtomicU64);

/// What a lane's word says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    /// Slots that are free, and the limit (never 0) that they are spread under.
    Open { limit: u32, free: u32 },
    /// Since this closing. By its number one who has read the word and not yet opened the lane finds out that it
    /// was closed again.
    Closed(u32),
}

impl Word {
    #[inline]
    const fn of(bits: u64) -> Self {
        match (bits >> 32) as u32 {
            0 => Self::Closed(bits as u32),
            limit => Self::Open {
                limit,
                free: bits as u32,
            },
        }
    }

    #[inline]
    const fn bits(self) -> u64 {
        match self {
            Self::Open { limit, free } => (limit as u64) << 32 | free as u64,
            Self::Closed(closing) => closing as u64,
        }
    }
}

impl Lanes {
    /// Whether so many lanes pay under this limit: there are several, and each can keep a slot.
    pub(crate) fn pay(lanes: usize, limit: u32) -> bool {
        lanes > 1 && limit as usize / lanes >= SHARE as usize
    }

    /// So many lanes, a power of two, all closed.
    pub(crate) fn new(lanes: usize) -> Self {
        let closed = || Lane(AtomicU64::new(Word::Closed(0).bits()));
        Self {
            shift: (lanes as u32 * SHARE).ilog2(),
            each: (0..lanes).map(|_| closed()).collect(),
            closings: Mutex::new(0),
        }
    }

    #[inline]
    fn lane(&self, lane: usize) -> &AtomicU64 {
        &self.each[lane & (self.each.len() - 1)].0
    }

    /// How many slots a lane keeps under this limit.
    #[inline]
    fn most(&self, limit: u32) -> u32 {
        limit >> self.shift
    }

    /// Takes a free slot from the lane, if it has one and is open under this limit.
    #[inline]
    pub(crate) fn take(&self, lane: usize, limit: u32) -> bool {
        let lane = self.lane(lane);
        let mut bits = lane.load(Relaxed);
        loop {
            match Word::of(bits) {
                Word::Open {
                    limit: under,
                    free: 1..,
                } if under == limit => {}
                _ => return false,
            }
            match lane.compare_exchange_weak(bits, bits - 1, Acquire, Relaxed) {
                Ok(_) => return true,
                Err(now) => bits = now,
            }
        }
    }

    /// Leaves a slot in the lane, if that is open and has room.
    #[inline]
    pub(crate) fn put(&self, lane: usize) -> bool {
        let lane = self.lane(lane);
        let mut bits = lane.load(Relaxed);
        loop {
            match Word::of(bits) {
                Word::Open { limit, free } if free < self.most(limit) => {}
                _ => return false,
            }
            match lane.compare_exchange_weak(bits, bits + 1, Release, Relaxed) {
                Ok(_) => return true,
                Err(now) => bits = now,
            }
        }
    }

    /// Opens the lane, if it is closed and lanes may be open under this limit: that is asked *after* the lane was seen to
    /// be closed, and if they are closed in between, this lane is not the same any more.
    pub(crate) fn open(&self, lane: usize, limit: u32, may: impl FnOnce() -> bool) {
        let lane = self.lane(lane);
        let bits = lane.load(Acquire);
        if matches!(Word::of(bits), Word::Closed(_)) && may() {
            let open = Word::Open { limit, free: 0 }.bits();
            _ = lane.compare_exchange(bits, open, AcqRel, Relaxed);
        }
    }

    /// The right to close them.
    pub(crate) fn lock(&self) -> MutexGuard<'_, u32> {
        // Nothing panics while it is held; a poisoned one would be as good.
        self.closings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes all lanes, and takes the slots that were free in them.
    pub(crate) fn close(&self, closings: &mut u32) -> u32 {
        *closings = closings.wrapping_add(1);
        let closed = Word::Closed(*closings).bits();
        let lanes = self.each.iter();
        lanes
            .map(|lane| match Word::of(lane.0.swap(closed, AcqRel)) {
                Word::Open { free, .. } => free,
                Word::Closed(_) => 0,
            })
            .sum()
    }

    /// Free slots in lanes.
    pub(crate) fn free(&self) -> u32 {
        let lanes = self.each.iter();
        lanes
            .map(|lane| match Word::of(lane.0.load(Relaxed)) {
                Word::Open { free, .. } => free,
                Word::Closed(_) => 0,
            })
            .sum()
    }
}
