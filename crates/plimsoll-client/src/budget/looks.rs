//! How often a thread looks at the shards of other threads.

use crate::sync::{AtomicU64, Ordering::Relaxed};

/// How many deposits into a full shard are skipped after a look at the other shards that was useless,
/// or that found them nearly full.
///
/// 4,095: a look moves two cache lines between processors, which costs as much as thirty decisions
/// (`budget` in `benches` has 0.57 on two threads with 63). What that can cost: 4,095 deposits while
/// this shard is full and others are between half and full; a shard that falls below its half ends
/// the skips. With one thread nothing is skipped that could have succeeded: `a_bank_agrees_with_a_sum`.
const SKIPPED_DEPOSITS: u64 = 4095;

/// How many withdrawals are denied without a look after one that was useless, or that found other
/// threads at work.
///
/// 255: an exhausted bank then costs a cache line of another processor in one of 256 denials (`budget`
/// in `benches` has 0.92 on two threads with 63). What that can cost: 255 denials while no shard holds
/// two retries, and this one not even one.
const SKIPPED_WITHDRAWALS: u64 = 255;

/// Looks of one shard at the others. Performance: on cache lines of their own, since they are written
/// where the tokens are only read.
///
/// Threads of one shard may skip once more or less: a count decides only where to look.
#[repr(align(128))]
pub(super) struct Looks {
    /// How many deposits do not look for room in other shards.
    full: AtomicU64,
    /// How many withdrawals do not look for tokens in other shards.
    empty: AtomicU64,
    /// What the other shards had after the last look.
    others: AtomicU64,
    /// Whether the last look found that other threads had changed their shards since the one before.
    /// What is there is then theirs, and this shard looks seldom.
    busy: AtomicU64,
    /// Whether this shard has ended the skips of the others since it was full.
    asked: AtomicU64,
}

impl Looks {
    /// No look yet; the other shards have this much.
    pub(super) fn at(others: u64) -> Self {
        Self {
            full: AtomicU64::new(0),
            empty: AtomicU64::new(0),
            others: AtomicU64::new(others),
            busy: AtomicU64::new(0),
            asked: AtomicU64::new(0),
        }
    }

    /// Whether a deposit skips its look. Counts down.
    #[inline]
    pub(super) fn skips_deposit(&self) -> bool {
        skips(&self.full)
    }

    /// Whether a withdrawal skips its look, for which `short` tokens are missing here. Counts down if
    /// that is so.
    pub(super) fn skips_withdrawal(&self, short: u64) -> bool {
        let is_useless = self.others.load(Relaxed) < short || self.busy.load(Relaxed) > 0;
        is_useless && skips(&self.empty)
    }

    /// Notes what the other shards have, and what they will have after this look. Returns whether other
    /// threads have changed them since the last one.
    pub(super) fn saw(&self, others: u64, after: u64) -> bool {
        let busy = others != self.others.load(Relaxed);
        self.busy.store(u64::from(busy), Relaxed);
        self.others.store(after, Relaxed);
        busy
    }

    pub(super) fn skip_deposits(&self) {
        self.full.store(SKIPPED_DEPOSITS, Relaxed);
    }

    pub(super) fn skip_withdrawals(&self) {
        self.empty.store(SKIPPED_WITHDRAWALS, Relaxed);
    }

    pub(super) fn look_at_next_deposit(&self) {
        self.full.store(0, Relaxed);
    }

    pub(super) fn look_at_next_withdrawal(&self) {
        self.empty.store(0, Relaxed);
    }

    /// Notes that this shard asks the others for their deposits: it has fallen below its half. Returns
    /// whether it did not ask before.
    pub(super) fn asks(&self) -> bool {
        let first = self.asked.load(Relaxed) == 0;
        self.asked.store(1, Relaxed);
        first
    }

    /// The shard is full: it asks again when it falls below its half.
    #[inline]
    pub(super) fn is_full(&self) {
        if self.asked.load(Relaxed) > 0 {
            self.asked.store(0, Relaxed);
        }
    }
}

#[inline]
fn skips(count: &AtomicU64) -> bool {
    let left = count.load(Relaxed);
    if left > 0 {
        count.store(left - 1, Relaxed);
    }
    left > 0
}
