//! Refunds: tokens that were taken and are not used.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};

use super::Cell;
use crate::{
    gcra::Unused,
    refunds::Ledger,
    terms::Terms,
    token::{REFUNDED, Token},
    word::{GENERATIONS, MAX_NOW, Word},
};

/// Tokens that a reset adds to the count of refunded tokens. A token that sees the count grow by
/// this much is not refunded, so it must exceed the number of tokens refunded while one request
/// runs.
const RESET: u32 = 1 << 22;

impl<const N: usize> Cell<'_, N> {
    /// Refunds the first quotas, at the time they were taken, after a later quota failed.
    #[cold]
    pub(super) fn undo(self, taken: &[Word], now: u64, cost: u32) {
        for (quota, word) in taken.iter().enumerate() {
            self.refund_quota(quota, *word, Unused::at_once(cost, now));
        }
        if !taken.is_empty() {
            self.count_refunded(cost);
        }
    }

    /// Refunds tokens that were taken at `admitted` or later and not used by `now`.
    ///
    /// [`Gcra::refundable`](crate::gcra::Gcra::refundable) decides how much is refunded. Tokens of
    /// a quota that has since been replaced are refunded to the new one, unless the algorithm was
    /// changed in between.
    pub(crate) fn refund(
        self,
        token: Token<N>,
        (admitted, now): (u64, u64),
        ledger: Ledger<'_, N>,
    ) {
        // After a reset no token is missing.
        if token.cost == 0 || token.refunded_since(self.refunded()) >= RESET {
            return;
        }
        let unused = Unused {
            cost: token.cost,
            admitted: admitted.min(MAX_NOW),
            now: now.min(MAX_NOW),
            moved: 0,
        };
        let newest = (0..N)
            .take_while(|quota| self.refund_newest(*quota, &token, unused))
            .count();
        if newest == N {
            return;
        }
        let mut recent = ledger.lock();
        let moved = recent.moved(&token, self.refunded());
        let mut parts = [0; N];
        for quota in newest..N {
            let unused = Unused {
                moved: moved[quota],
                ..unused
            };
            parts[quota] = self.refund_quota(quota, token.words[quota], unused);
        }
        // Last, so that a token taken before the words changed sees the count change.
        let after = self.count_refunded(token.cost);
        recent.push(token, after, parts);
    }

    /// Refunds the newest token as if it had never been taken. `false` when another token may have
    /// been taken after it.
    fn refund_newest(self, quota: usize, token: &Token<N>, unused: Unused) -> bool {
        let word = token.words[quota];
        if token.refunded_since(self.refunded()) > 0 {
            return false;
        }
        let terms = Terms::at(&self.quotas[quota], word.generation());
        let (state, _) = terms.refund(word.state(), word, Unused::at_once(unused.cost, unused.now));
        let before = Word::new(word.generation(), state);
        self.words[quota]
            .compare_exchange(word.0, before.0, AcqRel, Acquire)
            .is_ok()
    }

    /// Refunds one quota's part of a token. Returns how far tokens taken later move up, in parts of
    /// a token.
    fn refund_quota(self, quota: usize, taken: Word, unused: Unused) -> u64 {
        loop {
            let (generation, terms, word, state) = self.current(quota, unused.now);
            let (state, parts) = if taken.is_of(generation) {
                terms.refund(state, taken, unused)
            } else {
                let old = self.taken_under(quota, taken, generation);
                old.map_or((state, 0), |(old, fastest)| {
                    terms.refund_under(old, fastest, state, taken, unused)
                })
            };
            let next = Word::new(generation, state).0;
            let replaced = self.words[quota].compare_exchange_weak(word.0, next, AcqRel, Acquire);
            if replaced.is_ok() {
                return parts;
            }
        }
    }

    /// The replaced terms under which a token was taken, and the shortest refill time of one token
    /// since then. `None` when the algorithm was changed in between.
    #[cold]
    fn taken_under(self, quota: usize, taken: Word, generation: u64) -> Option<(Terms, u64)> {
        let changes = generation.wrapping_sub(taken.generation()) % GENERATIONS as u64;
        let since =
            (0..=changes).map(|ago| Terms::at(&self.quotas[quota], generation.wrapping_sub(ago)));
        let old = Terms::at(&self.quotas[quota], taken.generation());
        let mut fastest = u64::MAX;
        for terms in since {
            match (old, terms) {
                (Terms::Bucket(_), Terms::Bucket(gcra)) => fastest = fastest.min(gcra.increment),
                (Terms::Window(old), Terms::Window(window)) if window.has_edges_of(old) => {}
                _ => return None,
            }
        }
        Some((old, fastest))
    }

    pub(super) fn refunded(self) -> u32 {
        (self.tag.load(Acquire) & REFUNDED) as u32
    }

    /// Adds to the count of refunded tokens. Returns the new count.
    pub(crate) fn count_refunded(self, cost: u32) -> u32 {
        let count = |tag: u64| (tag & !REFUNDED) | (tag.wrapping_add(cost.into()) & REFUNDED);
        let mut tag = self.tag.load(Acquire);
        loop {
            let next = count(tag);
            match self.tag.compare_exchange_weak(tag, next, AcqRel, Acquire) {
                Ok(_) => return (next & REFUNDED) as u32,
                Err(current) => tag = current,
            }
        }
    }

    /// Resets all quotas to full. Tokens that were taken before are not refunded.
    pub(crate) fn reset(self) {
        self.count_refunded(RESET);
        for quota in 0..N {
            let (generation, _) = Terms::read(&self.quotas[quota]);
            self.words[quota].store(Word::new(generation, 0).0, Release);
        }
    }

    /// Adds tokens to every quota, at most as many as it lacks.
    pub(crate) fn grant(self, now: u64, tokens: u32) {
        let now = now.min(MAX_NOW);
        // First, because tokens that were taken before move up.
        self.count_refunded(tokens.min(RESET));
        for quota in 0..N {
            loop {
                let (generation, terms, word, state) = self.current(quota, now);
                let next = Word::new(generation, terms.grant(state, now, tokens));
                let replaced =
                    self.words[quota].compare_exchange_weak(word.0, next.0, AcqRel, Acquire);
                if replaced.is_ok() {
                    break;
                }
            }
        }
    }

    /// Counts tokens of a lease that were returned to the bucket.
    pub(crate) fn count_moved(self, tokens: u32) {
        if tokens > 0 {
            self.count_refunded(tokens);
        }
    }
}
