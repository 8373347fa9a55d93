//! An account of retries with a maximum, in shards.

use plimsoll_core::support::{shard, shards};

use super::unit::RETRY;
use crate::sync::{AtomicU64, Ordering::Relaxed};

/// How often a look at the other shards is skipped after it was useless.
///
/// 63: an exhausted or a full bank then costs a cache line of another processor in one of 64
/// decisions (`budget` in `benches` is slower on two threads with 1). What that can cost: 63 deposits
/// while this shard is full and another one has just lost tokens, or 63 denials while no other shard
/// holds two retries. With one thread nothing is skipped that could have succeeded:
/// `a_bank_agrees_with_a_sum`.
const SKIPPED: u64 = 63;

/// A shard with at least two retries is marked, so that other threads find it at once.
const SURPLUS: u64 = 2 * RETRY;

/// Tokens, each a millionth of a retry. The sum over all shards is never above the maximum, and
/// what is withdrawn was deposited.
pub(super) struct Bank {
    /// Performance: one per processor, since in an outage all of them deposit and withdraw (`budget`
    /// in `benches`). A shard has room for at least two retries, so that a withdrawal usually finds
    /// what it needs in one of them.
    parts: Box<[Part]>,
    /// A bit for each shard with a surplus.
    surplus: Apart,
}

#[repr(align(128))]
struct Apart(AtomicU64);

/// One shard on its own cache lines (two, since processors fetch them in pairs).
#[repr(align(128))]
struct Part {
    tokens: AtomicU64,
    most: u64,
    looks: Looks,
}

/// Looks at other shards. Performance: on cache lines of their own, since they are written where the
/// tokens are only read.
#[derive(Default)]
#[repr(align(128))]
struct Looks {
    /// How many deposits do not look for room in other shards.
    full: AtomicU64,
    /// How many withdrawals do not look for tokens in other shards.
    empty: AtomicU64,
    /// What the other shards had at the last look.
    others: AtomicU64,
}

impl Bank {
    pub(super) fn full(retries: u32) -> Self {
        // A power of two, so that the shard of a thread is found by a mask.
        let room = (retries as usize / 2).max(1);
        let parts = shards().min(1 << room.ilog2());
        Self::with(u64::from(retries) * RETRY, parts)
    }

    pub(super) fn with(most: u64, parts: usize) -> Self {
        let upto = |n: usize| (u128::from(most) * n as u128 / parts as u128) as u64;
        let part = |n| {
            let most = upto(n + 1) - upto(n);
            Part {
                tokens: AtomicU64::new(most),
                most,
                looks: Looks::default(),
            }
        };
        let bank = Self {
            parts: (0..parts).map(part).collect(),
            surplus: Apart(AtomicU64::new(0)),
        };
        for index in 0..parts {
            bank.mark(index);
        }
        bank
    }

    #[inline]
    pub(super) fn deposit(&self, amount: u64) {
        let shard = shard();
        // Performance: a full bank is the usual case, and needs no atomic operation that others wait
        // for (`instructions`, `retry@accept`).
        let part = &self.parts[self.own(shard)];
        if part.tokens.load(Relaxed) < part.most || !skips(&part.looks.full) {
            self.deposit_from(shard, amount);
        }
    }

    #[inline]
    fn own(&self, shard: usize) -> usize {
        shard & (self.parts.len() - 1)
    }

    #[inline]
    pub(super) fn withdraw(&self) -> bool {
        self.withdraw_from(shard())
    }

    /// Returns a retry that was withdrawn and not sent.
    pub(super) fn put_back(&self) {
        let own = self.own(shard());
        let rest = self.put(own, RETRY);
        self.put_elsewhere(own, rest);
    }

    pub(super) fn tokens(&self) -> u64 {
        let tokens = |part: &Part| part.tokens.load(Relaxed);
        self.parts.iter().map(tokens).sum()
    }

    /// Deposits into this shard, and what it has no room for into the others. What no shard has
    /// room for is lost.
    #[inline(never)]
    pub(super) fn deposit_from(&self, shard: usize, amount: u64) {
        let own = self.own(shard);
        let rest = self.put(own, amount);
        if rest > 0 && !skips(&self.parts[own].looks.full) {
            let lost = self.put_elsewhere(own, rest);
            if lost > 0 {
                self.parts[own].looks.full.store(SKIPPED, Relaxed);
            }
            if lost < rest {
                self.parts[own].looks.empty.store(0, Relaxed);
            }
        }
    }

    /// Collects one retry from this shard and the others. Returns whether there was one.
    #[inline]
    pub(super) fn withdraw_from(&self, shard: usize) -> bool {
        let own = self.own(shard);
        if self.take(own, RETRY, RETRY) == RETRY {
            return true;
        }
        self.parts.len() > 1 && self.collect(own)
    }

    /// Collects one retry from several shards.
    #[inline(never)]
    fn collect(&self, own: usize) -> bool {
        let part = &self.parts[own];
        let mine = part.tokens.load(Relaxed);
        let known = mine + part.looks.others.load(Relaxed);
        if known < RETRY && self.surplus.0.load(Relaxed) == 0 && skips(&part.looks.empty) {
            return false;
        }
        // Performance: an empty bank is only read.
        let all = self.tokens();
        if all < RETRY {
            part.looks.empty.store(SKIPPED, Relaxed);
            part.looks.others.store(all.saturating_sub(mine), Relaxed);
            return false;
        }
        let mut missing = RETRY;
        for index in self.from(own) {
            missing -= self.take(index, missing, 1);
            if missing == 0 {
                self.parts[own].looks.full.store(0, Relaxed);
                return true;
            }
        }
        // Others were faster: what was collected is put back.
        let rest = self.put(own, RETRY - missing);
        self.put_elsewhere(own, rest);
        false
    }

    /// Returns what no other shard had room for.
    #[inline(never)]
    fn put_elsewhere(&self, own: usize, mut amount: u64) -> u64 {
        for index in self.from(own).skip(1) {
            if amount > 0 {
                amount = self.put(index, amount);
            }
        }
        amount
    }

    fn from(&self, own: usize) -> impl Iterator<Item = usize> {
        (own..self.parts.len()).chain(0..own)
    }

    /// Returns what the shard had no room for.
    #[inline]
    fn put(&self, index: usize, amount: u64) -> u64 {
        let part = &self.parts[index];
        let mut tokens = part.tokens.load(Relaxed);
        loop {
            let added = amount.min(part.most.saturating_sub(tokens));
            // Performance: a full shard is only read.
            if added == 0 {
                return amount;
            }
            let sum = tokens + added;
            match part
                .tokens
                .compare_exchange_weak(tokens, sum, Relaxed, Relaxed)
            {
                Ok(_) => {
                    if sum >= SURPLUS && tokens < SURPLUS {
                        self.mark(index);
                    }
                    return amount - added;
                }
                Err(now) => tokens = now,
            }
        }
    }

    /// Takes up to `amount`, if there is at least `least`. Returns how much.
    #[inline]
    fn take(&self, index: usize, amount: u64, least: u64) -> u64 {
        let part = &self.parts[index];
        let mut tokens = part.tokens.load(Relaxed);
        loop {
            if tokens < least {
                return 0;
            }
            let taken = amount.min(tokens);
            let rest = tokens - taken;
            match part
                .tokens
                .compare_exchange_weak(tokens, rest, Relaxed, Relaxed)
            {
                Ok(_) => {
                    if tokens >= SURPLUS && rest < SURPLUS {
                        self.mark(index);
                    }
                    return taken;
                }
                Err(now) => tokens = now,
            }
        }
    }

    /// Sets or clears the mark of a shard. A mark may be late: it only decides where to look.
    #[cold]
    fn mark(&self, index: usize) {
        let bit = 1_u64 << index;
        if self.parts[index].tokens.load(Relaxed) >= SURPLUS {
            self.surplus.0.fetch_or(bit, Relaxed);
        } else {
            self.surplus.0.fetch_and(!bit, Relaxed);
        }
    }
}

/// Counts down. Threads of one shard may skip once more or less.
#[inline]
fn skips(count: &AtomicU64) -> bool {
    let left = count.load(Relaxed);
    if left > 0 {
        count.store(left - 1, Relaxed);
    }
    left > 0
}
