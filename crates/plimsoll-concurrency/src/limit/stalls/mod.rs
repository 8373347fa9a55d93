//! Reclaims slots held by responses that their callers do not read.
//!
//! A server that cannot write to a connection (the socket's buffer is full, the HTTP/2 window is 0)
//! does not poll the response body. The permit is inside that body, so neither a timer in the body
//! nor a later call of the policy can reach it. But slots are interchangeable: it is enough to
//! count *how many* of them such responses hold.
//!
//! # The protocol
//!
//! - Time is divided into numbered epochs. A word holds the current epoch and the number of permits
//!   that were stamped in it and still wait for their caller. A permit carries its [`Stamp`].
//! - When a response starts to wait for its caller, its permit is counted in the word, and stamped
//!   with the epoch that the same atomic operation read.
//! - When the response waits for the service, or the call has ended, the permit is counted out: by
//!   a compare-and-swap of the word, which fails once the epoch is closed.
//! - The epoch is closed by a request that finds the limit full, at most once in a quarter of the
//!   longest stall. (There `now` is at hand, and a slot is needed.) The request swaps the word for
//!   the next epoch with a count of 0, and keeps the old count as a *generation*, under a lock.
//! - A permit whose epoch is closed is counted out of its generation, under the lock. It is counted
//!   in the current epoch if its response waits for the caller again.
//! - Permits that are still in their generation a longest stall after it was closed have made no
//!   progress since. All their slots are released at once, and the generation is dropped. A permit
//!   whose generation is unknown has lost its slot, and must not release it.
//!
//! So each slot is released once: by its permit, which is counted out first, or together with the
//! generation that the permit was left in. There is no timer and no clock read, and nothing is done
//! until a request finds the limit full.
//!
//! # Shards
//!
//! After two threads have contended for the word, each processor counts in a shard of its own. All
//! words are closed together, under the lock. The stamp names the word.
//! closed together, under the lock. The stamp names the word.

mod closed;
mod stamp;

use std::sync::{
    OnceLock, PoisonError,
    atomic::{
        AtomicBool,
        Ordering::{AcqRel, Relaxed},
    },
};

use plimsoll_core::{
    policy::WaitsOn,
    support::{shard, shards},
};

pub(crate) use self::stamp::Stamp;
use self::{
    closed::Closed,
    stamp::{COUNT, FIRST_SHARD, OWN},
};
use crate::sync::{AtomicU64, Mutex, MutexGuard};

/// Epochs closed within the longest stall: 4, so a slot is reclaimed after at most 1.25 times that.
/// More closings need more generations and gain less than a tenth.
/// `stalls::a_slot_is_reclaimed_within_a_stall_and_a_quarter` fails with fewer.
const CLOSINGS: u64 = 4;
/// The value of `oldest` when there is no generation.
const NEVER: u64 = u64::MAX;

/// Counts permits that wait for their caller, and finds those that have waited too long.
#[derive(Debug)]
pub(crate) struct Stalls {
    word: AtomicU64,
    /// Whether the shards exist.
    spread: AtomicBool,
    /// Created on first contention, so the cells of a keyed limit do without.
    shards: OnceLock<Box<[Shard]>>,
    /// When an epoch was last closed, or could have been; 0 before that. Written under the lock.
    last: AtomicU64,
    /// When the oldest generation was closed, or [`NEVER`]. Written under the lock.
    oldest: AtomicU64,
    closed: Mutex<Closed>,
}

/// One shard. Performance: on cache lines of its own, two because processors fetch them in pairs.
#[derive(Debug)]
#[repr(align(128))]
struct Shard(AtomicU64);

impl Stalls {
    pub(crate) fn new() -> Self {
        Self {
            word: AtomicU64::new(Stamp::new(0, OWN).word()),
            spread: AtomicBool::new(false),
            shards: OnceLock::new(),
            last: AtomicU64::new(0),
            oldest: AtomicU64::new(NEVER),
            closed: Mutex::new(Closed::default()),
        }
    }

    /// Notes that the response of a permit waits for its caller, or for the service.
    #[inline]
    #[must_use]
    pub(crate) fn body_waits(&self, stamp: Stamp, on: WaitsOn) -> Stamp {
        match on {
            WaitsOn::Caller => self.count_in(stamp),
            WaitsOn::Service => self.count_out(stamp),
        }
    }

    /// The caller made progress, and now has to read what was handed out.
    #[inline]
    fn count_in(&self, stamp: Stamp) -> Stamp {
        if stamp == Stamp::NONE && !self.is_spread() {
            return Stamp::of(self.word.fetch_add(1, Relaxed));
        }
        self.count_progress(stamp, shard)
    }

    /// The caller has read everything so far.
    #[inline]
    fn count_out(&self, stamp: Stamp) -> Stamp {
        if self.end(stamp, || false) {
            Stamp::NONE
        } else {
            Stamp::LOST
        }
    }

    /// Ends tracking at the end of a call. Returns `true` if its slot is still held; the caller of
    /// this function must then release it.
    ///
    /// `may_spread` is called when another thread changed the word at the same time.
    #[inline]
    #[must_use]
    pub(crate) fn end(&self, stamp: Stamp, may_spread: impl FnOnce() -> bool) -> bool {
        let bits = self.word.load(Relaxed);
        if Stamp::of(bits) == stamp {
            let left = self.word.compare_exchange(bits, bits - 1, Relaxed, Relaxed);
            if left.is_ok() {
                return true;
            }
        }
        stamp == Stamp::NONE || self.release(stamp, may_spread)
    }

    /// Closes the epoch when it is due, and reclaims generations that were closed `longest` ago.
    ///
    /// Returns the number of slots that the caller has to release.
    #[inline]
    pub(crate) fn reclaim(&self, now: u64, longest: u64) -> u32 {
        if now < self.due(longest) {
            return 0; // the usual case
        }
        self.reclaim_now(now, longest)
    }

    #[cold]
    fn reclaim_now(&self, now: u64, longest: u64) -> u32 {
        let mut closed = self.lock();
        let taken = closed.expire(now, longest);
        if now >= self.closes_at(longest) {
            if closed.has_room() {
                self.close(&mut closed, now);
            }
            self.last.store(now.max(1), Relaxed);
        }
        self.oldest.store(closed.oldest().unwrap_or(NEVER), Relaxed);
        taken
    }

    /// When [`reclaim`](Self::reclaim) next has something to do.
    #[inline]
    pub(crate) fn due(&self, longest: u64) -> u64 {
        let expires_at = self.oldest.load(Relaxed).saturating_add(longest);
        self.closes_at(longest).min(expires_at)
    }

    #[inline]
    fn closes_at(&self, longest: u64) -> u64 {
        match self.last.load(Relaxed) {
            0 => 0,
            last => last.saturating_add(longest / CLOSINGS),
        }
    }

    #[inline]
    fn is_spread(&self) -> bool {
        self.spread.load(Relaxed)
    }

    /// Counts a permit that made progress in the current epoch.
    ///
    /// Performance: out of line and by value, as is [`release`](Self::release). Around an acquiring
    /// load the compiler adds one more move of the response (`instructions`, `concurrency@accept`).
    #[inline(never)]
    fn count_progress(&self, stamp: Stamp, core: impl Fn() -> usize) -> Stamp {
        if let Some(word) = self.word_at(stamp.place()) {
            if Stamp::of(word.load(Relaxed)) == stamp {
                return stamp;
            }
        }
        if stamp == Stamp::NONE || self.release_closed(stamp) {
            self.enter(core)
        } else {
            Stamp::LOST
        }
    }

    fn enter(&self, core: impl Fn() -> usize) -> Stamp {
        if let Some(shards) = self.shards.get() {
            // The number of shards is a power of two.
            let at = core() & (shards.len() - 1);
            return Stamp::of(shards[at].0.fetch_add(1, Relaxed));
        }
        Stamp::of(self.word.fetch_add(1, Relaxed))
    }

    /// Counts a permit out. Returns `false` when its slot was reclaimed.
    #[inline(never)]
    fn release(&self, stamp: Stamp, may_spread: impl FnOnce() -> bool) -> bool {
        if let Some(word) = self.word_at(stamp.place()) {
            let mut bits = word.load(Relaxed);
            while Stamp::of(bits) == stamp {
                match word.compare_exchange_weak(bits, bits - 1, Relaxed, Relaxed) {
                    Ok(_) => {
                        if stamp.place() == OWN && !self.is_spread() && may_spread() {
                            self.spread(shards());
                        }
                        return true;
                    }
                    Err(now) => bits = now,
                }
            }
        }
        self.release_closed(stamp)
    }

    /// Counts a permit out of its generation. The thread that closed the epoch held the lock
    /// before.
    #[cold]
    fn release_closed(&self, stamp: Stamp) -> bool {
        stamp != Stamp::LOST && self.lock().release(stamp.epoch())
    }

    fn word_at(&self, place: u32) -> Option<&AtomicU64> {
        if place == OWN {
            return Some(&self.word);
        }
        let at = place.checked_sub(FIRST_SHARD)?;
        Some(&self.shards.get()?.get(at as usize)?.0)
    }

    /// Closes the epoch of all words. Called under the lock.
    fn close(&self, closed: &mut Closed, now: u64) {
        let words = || {
            let shards = self.shards.get().into_iter().flatten();
            shards.map(|shard| &shard.0).chain([&self.word])
        };
        if words().all(|word| word.load(Relaxed) & COUNT == 0) {
            return;
        }
        let next = closed.next_epoch();
        let remaining = words().map(|word| {
            let place = Stamp::of(word.load(Relaxed)).place();
            let before = word.swap(Stamp::new(next, place).word(), AcqRel);
            (before & COUNT) as u32
        });
        closed.push(remaining.sum(), now);
    }

    #[cold]
    fn spread(&self, count: usize) {
        if count > 1 {
            // No epoch is closed while the lock is held.
            let closed = self.lock();
            let shard = |at| Shard(AtomicU64::new(Stamp::new(closed.epoch(), at).word()));
            let places = FIRST_SHARD..FIRST_SHARD + count as u32;
            self.shards.get_or_init(|| places.map(shard).collect());
            self.spread.store(true, Relaxed);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Closed> {
        // No code panics under this lock, so a poisoned lock holds a consistent value.
        self.closed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod tests;
