//! An account of retries with a maximum, in shards.

use plimsoll_core::support::{shard, shards};

use super::RETRY;
use crate::sync::{AtomicU64, Ordering::Relaxed};

/// Tokens, each a millionth of a retry. The sum over all shards is never above the maximum, and
/// what is withdrawn was deposited.
pub(super) struct Bank {
    /// Performance: one per processor, since in an outage all of them deposit and withdraw (`budget`
    /// in `benches`). A shard has room for at least two retries, so that a withdrawal usually finds
    /// what it needs in one of them.
    parts: Box<[Part]>,
}

/// One shard on its own cache lines (two, since processors fetch them in pairs).
#[repr(align(128))]
struct Part {
    tokens: AtomicU64,
    most: u64,
}

impl Bank {
    pub(super) fn full(retries: u32) -> Self {
        let parts = (retries as usize / 2).clamp(1, shards());
        Self::with(u64::from(retries) * RETRY, parts)
    }

    pub(super) fn with(most: u64, parts: usize) -> Self {
        let upto = |n: usize| {
            most / parts as u64 * n as u64 + most % parts as u64 * n as u64 / parts as u64
        };
        let part = |n| {
            let most = upto(n + 1) - upto(n);
            Part {
                tokens: AtomicU64::new(most),
                most,
            }
        };
        Self {
            parts: (0..parts).map(part).collect(),
        }
    }

    #[inline]
    pub(super) fn deposit(&self, amount: u64) {
        self.deposit_from(shard(), amount);
    }

    #[inline]
    pub(super) fn withdraw(&self) -> bool {
        self.withdraw_from(shard())
    }

    pub(super) fn tokens(&self) -> u64 {
        self.parts
            .iter()
            .map(|part| part.tokens.load(Relaxed))
            .sum()
    }

    /// Deposits into this shard, and what it has no room for into the next ones. What no shard has
    /// room for is lost.
    #[inline]
    pub(super) fn deposit_from(&self, shard: usize, mut amount: u64) {
        for part in self.from(shard) {
            amount = part.put(amount);
            if amount == 0 {
                return;
            }
        }
    }

    /// Collects one retry from this shard and the next ones. Returns whether there was one.
    pub(super) fn withdraw_from(&self, shard: usize) -> bool {
        // Performance: an empty bank is only read.
        if self.tokens() < RETRY {
            return false;
        }
        let mut missing = RETRY;
        for part in self.from(shard) {
            missing -= part.take(missing);
            if missing == 0 {
                return true;
            }
        }
        // Others were faster: what was collected is put back.
        self.deposit_from(shard, RETRY - missing);
        false
    }

    #[inline]
    fn from(&self, shard: usize) -> impl Iterator<Item = &Part> {
        let (before, after) = self.parts.split_at(shard % self.parts.len());
        after.iter().chain(before)
    }
}

impl Part {
    /// Returns what there was no room for.
    #[inline]
    fn put(&self, amount: u64) -> u64 {
        let mut tokens = self.tokens.load(Relaxed);
        loop {
            let added = amount.min(self.most.saturating_sub(tokens));
            // Performance: a full bank is only read, so successes of a healthy callee share its line.
            if added == 0 {
                return amount;
            }
            match self
                .tokens
                .compare_exchange_weak(tokens, tokens + added, Relaxed, Relaxed)
            {
                Ok(_) => return amount - added,
                Err(now) => tokens = now,
            }
        }
    }

    /// Takes up to `amount`. Returns how much.
    fn take(&self, amount: u64) -> u64 {
        let mut tokens = self.tokens.load(Relaxed);
        loop {
            let taken = amount.min(tokens);
            if taken == 0 {
                return 0;
            }
            match self
                .tokens
                .compare_exchange_weak(tokens, tokens - taken, Relaxed, Relaxed)
            {
                Ok(_) => return taken,
                Err(now) => tokens = now,
            }
        }
    }
}
