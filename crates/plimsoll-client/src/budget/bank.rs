//! An account of retries with a maximum, in shards.

use plimsoll_core::support::{shard, shards};

use super::{looks::Looks, unit::RETRY};
use crate::sync::{
    AtomicU64,
    Ordering::{Relaxed, SeqCst},
    fence,
};

/// A shard with at least two retries is marked, so that other threads find it at once.
const SURPLUS: u64 = 2 * RETRY;

/// Tokens, each a millionth of a retry. The sum over all shards is never above the maximum, and
/// what is withdrawn was deposited.
pub(super) struct Bank {
    /// Performance: one per processor, since in an outage all of them deposit and withdraw (`budget`
    /// in `benches`). A shard has room for at least two retries, so that a withdrawal usually finds
    /// what it needs in one of them.
    parts: Box<[Part]>,
    /// The maximum of all shards together.
    most: u64,
    /// A bit for each shard with a surplus.
    surplus: Apart,
    /// 1 only if every shard is full: a deposit then has no room. On cache lines of its own, since all
    /// threads read it, and it changes seldom.
    full: Apart,
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
            let own = upto(n + 1) - upto(n);
            Part {
                tokens: AtomicU64::new(own),
                most: own,
                looks: Looks::at(most - own),
            }
        };
        let bank = Self {
            parts: (0..parts).map(part).collect(),
            most,
            surplus: Apart(AtomicU64::new(0)),
            full: Apart(AtomicU64::new(1)),
        };
        for index in 0..parts {
            bank.mark(index);
        }
        bank
    }

    /// Whether every shard is full, so that a deposit has no room.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.full.0.load(Relaxed) > 0
    }

    pub(super) fn deposit(&self, amount: u64) {
        if !self.is_full() {
            self.deposit_from(shard(), amount);
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
        if rest > 0 {
            self.put_elsewhere(own, rest);
        }
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
        if rest > 0 && !self.parts[own].looks.skips_deposit() {
            self.put_elsewhere(own, rest);
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
        let short = RETRY.saturating_sub(mine);
        if self.surplus.0.load(Relaxed) == 0 && part.looks.skips_withdrawal(short) {
            return false;
        }
        // Performance: an empty bank is only read.
        let others = self.others(own);
        let is_enough = others >= short;
        let left = if is_enough { others - short } else { others };
        if part.looks.saw(others, left) || !is_enough {
            part.looks.skip_withdrawals();
        }
        if !is_enough {
            return false;
        }
        let mut missing = RETRY;
        for index in self.from(own) {
            missing -= self.take(index, missing, 1);
            if missing == 0 {
                part.looks.look_at_next_deposit();
                return true;
            }
        }
        // Others were faster: what was collected is put back.
        let rest = self.put(own, RETRY - missing);
        if rest > 0 {
            self.put_elsewhere(own, rest);
        }
        false
    }

    /// Puts an amount into the other shards. What none of them has room for is lost.
    #[inline(never)]
    fn put_elsewhere(&self, own: usize, amount: u64) {
        let others = self.others(own);
        let mut rest = amount;
        for index in self.from(own).skip(1) {
            if rest > 0 {
                rest = self.put(index, rest);
            }
        }
        let looks = &self.parts[own].looks;
        let after = others + (amount - rest);
        let busy = looks.saw(others, after);
        // Other threads that are at work fill the last retry of their shards themselves.
        let last = (self.parts.len() as u64 - 1) * RETRY;
        let room = (self.most - self.parts[own].most).saturating_sub(after);
        if rest > 0 || (busy && room <= last) {
            looks.skip_deposits();
        }
        if rest > 0 {
            self.note_full();
        }
        if rest < amount {
            looks.look_at_next_withdrawal();
        }
    }

    fn others(&self, own: usize) -> u64 {
        let others = self.from(own).skip(1);
        others
            .map(|index| self.parts[index].tokens.load(Relaxed))
            .sum()
    }

    /// Ends the skips of the other shards: this one has fallen below its half.
    #[cold]
    fn ask(&self, own: usize) {
        if self.parts[own].looks.asks() {
            for index in self.from(own).skip(1) {
                self.parts[index].looks.look_at_next_deposit();
            }
        }
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
                    if sum == part.most {
                        part.looks.is_full();
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
                    if tokens >= part.most / 2 && rest < part.most / 2 {
                        self.ask(index);
                    }
                    if tokens == part.most {
                        self.note_room();
                    }
                    return taken;
                }
                Err(now) => tokens = now,
            }
        }
    }

    /// Notes that no shard has room, if that is so.
    ///
    /// The order is the reverse of a withdrawal's, which takes tokens and then clears the note: either
    /// the withdrawal sees the note, or this sum is below the maximum.
    #[cold]
    fn note_full(&self) {
        self.full.0.store(1, Relaxed);
        fence(SeqCst);
        if self.tokens() < self.most {
            self.full.0.store(0, Relaxed);
        }
    }

    /// Notes that a shard is no longer full.
    #[cold]
    fn note_room(&self) {
        fence(SeqCst);
        if self.is_full() {
            self.full.0.store(0, Relaxed);
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

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_shard_below_its_half_receives_the_deposits_of_others_at_once() {
        let bank = Bank::with(20 * RETRY, 2);
        let lost = || bank.deposit_from(0, RETRY);
        lost();
        for _ in 0..5 {
            assert!(bank.withdraw_from(1));
            lost();
        }
        assert_eq!(bank.tokens(), 15 * RETRY, "five of ten are left in shard 1");
        assert!(bank.withdraw_from(1));
        for more in 1..=6 {
            bank.deposit_from(0, RETRY);
            assert_eq!(bank.tokens(), (14 + more) * RETRY);
        }
        // Full again: it asks again.
        lost();
        for _ in 0..6 {
            assert!(bank.withdraw_from(1));
        }
        bank.deposit_from(0, RETRY);
        assert_eq!(bank.tokens(), 15 * RETRY);
    }

    #[test]
    fn other_threads_at_work_fill_the_last_retry_of_their_shards() {
        let bank = Bank::with(20 * RETRY, 2);
        for _ in 0..2 {
            assert!(bank.withdraw_from(1));
        }
        bank.deposit_from(0, RETRY / 2);
        assert_eq!(bank.tokens(), 18 * RETRY + RETRY / 2, "two are missing");
        bank.deposit_from(1, RETRY / 4);
        bank.deposit_from(0, RETRY / 2);
        assert_eq!(bank.tokens(), 19 * RETRY + RETRY / 4);
        bank.deposit_from(0, RETRY / 2);
        assert_eq!(bank.tokens(), 19 * RETRY + RETRY / 4, "skipped");
    }

    #[test]
    fn a_shard_alone_is_refilled_by_every_deposit() {
        let bank = Bank::with(20 * RETRY, 2);
        for _ in 0..20 {
            assert!(bank.withdraw_from(0));
        }
        assert!(!bank.withdraw_from(0));
        for left in 1..=20 {
            bank.deposit_from(0, RETRY);
            assert_eq!(bank.tokens(), left * RETRY);
        }
        bank.deposit_from(0, RETRY);
        assert_eq!(bank.tokens(), 20 * RETRY);
    }

    #[test]
    fn what_other_threads_deposit_is_theirs_until_it_is_a_surplus() {
        let bank = Bank::with(4 * RETRY, 2);
        for _ in 0..4 {
            assert!(bank.withdraw_from(0));
        }
        bank.deposit_from(1, RETRY);
        assert!(bank.withdraw_from(0), "a first look");
        bank.deposit_from(1, RETRY);
        assert!(!bank.withdraw_from(0), "no look so soon");
        bank.deposit_from(1, RETRY);
        assert!(bank.withdraw_from(0), "two retries");
    }
}
