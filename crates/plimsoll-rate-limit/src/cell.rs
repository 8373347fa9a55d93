//! The quotas of one key on atomics: one compare-and-swap per quota; a token is never refunded
//! twice.

use std::{
    array,
    sync::atomic::Ordering::{AcqRel, Acquire, Release},
};

use crate::{
    gcra::Unused,
    leases::Leases,
    refunds::Ledger,
    share::Share,
    sync::AtomicU64,
    terms::{LiveQuota, Terms},
    word::{GENERATIONS, MAX_NOW, Word},
};

/// Bits of a cell's tag that count refunded tokens, modulo 2^24. The bits above hold the key's mark
/// in a keyed limit.
pub(crate) const REFUNDED_BITS: u32 = 24;
const REFUNDED: u64 = (1 << REFUNDED_BITS) - 1;
/// Tokens that a reset adds to the count of refunded tokens. A token that sees the count grow by
/// this much is not refunded, so it must exceed the number of tokens refunded while one request
/// runs.
const RESET: u32 = 1 << 22;

/// The state of one key's `N` quotas. Borrowed from its storage.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cell<'a, const N: usize> {
    pub(crate) quotas: &'a [LiveQuota; N],
    /// The lower bits count refunded tokens, modulo 2^24. The bits above belong to the keyed table.
    pub(crate) tag: &'a AtomicU64,
    pub(crate) words: &'a [AtomicU64; N],
}

/// Tokens that were taken, with what is needed to refund them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Token<const N: usize> {
    pub(crate) words: [Word; N],
    pub(crate) cost: u32,
    /// The cell's count of refunded tokens, in the lower [`REFUNDED_BITS`]. The bits above have no
    /// meaning: [`refunded_since`](Self::refunded_since) drops them.
    refunded: u32,
}

/// At least one quota had too few tokens. Nothing was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Empty {
    /// The quota with the longest wait.
    pub(crate) quota: usize,
    /// Nanoseconds until it has enough tokens; `None` for never.
    pub(crate) wait: Option<u64>,
    pub(crate) generation: u64,
}

impl<const N: usize> Token<N> {
    /// Tokens refunded since this token was taken, when the cell's count is `refunded`.
    pub(crate) fn refunded_since(&self, refunded: u32) -> u32 {
        refunded.wrapping_sub(self.refunded) & REFUNDED as u32
    }

    /// Whether this token is certainly after `other` in the bucket's schedule.
    ///
    /// Nothing was refunded between two tokens that saw the same count, so the one with the later
    /// state was taken later. With leases (`leased`) the order of the schedule differs from the
    /// order of taking.
    pub(crate) fn is_after(&self, other: &Self, leased: bool) -> bool {
        let ahead = self.words[0].state() > other.words[0].state();
        match other.refunded_since(self.refunded) {
            0 => ahead,
            more if u64::from(more) <= REFUNDED / 2 => ahead || !leased,
            _ => false,
        }
    }

    /// The token of a request that was not counted.
    pub(crate) const fn nothing() -> Self {
        Self {
            words: [Word(0); N],
            cost: 0,
            refunded: 0,
        }
    }
}

/// Another thread changed the cell, or a quota was changed: try again.
pub(crate) struct Stale;

impl<const N: usize> Cell<'_, N> {
    /// Takes `cost` from every quota, or nothing from any. A rejection writes nothing, except for
    /// the first read after a quota was changed.
    #[inline]
    pub(crate) fn take(self, now: u64, cost: u32) -> Result<Token<N>, Empty> {
        let now = now.min(MAX_NOW);
        loop {
            match self.try_take(now, cost) {
                Ok(taken) => return taken,
                Err(Stale) => self.refresh(now),
            }
        }
    }

    /// Takes from quotas that hold only a share of their burst during a warm-up.
    pub(crate) fn take_cold(self, share: Share, now: u64, cost: u32) -> Result<Token<N>, Empty> {
        let now = now.min(MAX_NOW);
        let decide = |words, state| {
            let terms = Terms::from_words(words);
            terms.decide(terms.cold(state, share, now, cost), now, cost)
        };
        loop {
            match self.try_take_if(now, cost, decide) {
                Ok(taken) => return taken,
                Err(Stale) => self.refresh(now),
            }
        }
    }

    /// Whether [`take`](Self::take) would succeed. Writes nothing.
    pub(crate) fn check(self, now: u64, cost: u32) -> Result<(), Empty> {
        let now = now.min(MAX_NOW);
        let mut empty = None;
        for quota in 0..N {
            let (generation, terms, _, state) = self.current(quota, now);
            if let Err(wait) = terms.decide(state, now, cost) {
                let other = Empty {
                    quota,
                    wait,
                    generation,
                };
                empty = Some(Empty::longer(empty, other));
            }
        }
        empty.map_or(Ok(()), Err)
    }

    /// One attempt to take from quotas that hold their full burst.
    #[inline(always)]
    #[allow(clippy::inline_always)] // see `try_take_if`
    pub(crate) fn try_take(self, now: u64, cost: u32) -> Result<Result<Token<N>, Empty>, Stale> {
        self.try_take_if(now, cost, |words, state| {
            Terms::decide_words(words, state, now, cost)
        })
    }

    /// One attempt to take. `decide` returns the next state of a quota from its words and its
    /// state.
    ///
    /// Performance: always inlined, and generic over `decide`. Out of line, the token was written
    /// to memory and read again; and a quota without warm-up was tested for its share of the burst
    /// on every request (`instructions`, `rate-limit@accept`).
    #[inline(always)]
    #[allow(clippy::inline_always)]
    fn try_take_if(
        self,
        now: u64,
        cost: u32,
        decide: impl Fn([u64; 2], u64) -> Result<u64, Option<u64>>,
    ) -> Result<Result<Token<N>, Empty>, Stale> {
        let refunded = self.tag.load(Acquire) as u32;
        let mut words = [Word(0); N];
        let mut next = [Word(0); N];
        let mut empty = None;
        // All quotas are read first: a rejection writes nothing and returns the longest wait.
        for quota in 0..N {
            let (generation, setting) = self.quotas[quota].read();
            let word = Word(self.words[quota].load(Acquire));
            if !word.is_of(generation) {
                return Err(Stale);
            }
            words[quota] = word;
            match decide(setting, word.state()) {
                Ok(state) => next[quota] = Word::new(generation, state),
                Err(wait) => {
                    empty = Some(Empty::longer(
                        empty,
                        Empty {
                            quota,
                            wait,
                            generation,
                        },
                    ));
                }
            }
        }
        if let Some(empty) = empty {
            return Ok(Err(empty));
        }
        for quota in 0..N {
            let (word, to) = (words[quota].0, next[quota].0);
            let replaced = self.words[quota].compare_exchange_weak(word, to, AcqRel, Acquire);
            if replaced.is_err() {
                self.undo(&next[..quota], now, cost);
                return Err(Stale);
            }
        }
        Ok(Ok(Token {
            words: next,
            cost,
            refunded,
        }))
    }

    /// Converts the words to the current settings. A debt is converted once; otherwise it would be
    /// refilled at the old quota's rate.
    #[cold]
    #[inline(never)]
    pub(crate) fn refresh(self, now: u64) {
        for quota in 0..N {
            let (generation, _, word, state) = self.current(quota, now);
            let to = Word::new(generation, state).0;
            if word.0 != to {
                // On failure another thread has done the same.
                _ = self.words[quota].compare_exchange(word.0, to, AcqRel, Acquire);
            }
        }
    }

    /// The settings' generation and terms, the word, and its state under them.
    pub(crate) fn current(self, quota: usize, now: u64) -> (u64, Terms, Word, u64) {
        // The word first: its writer had seen its generation, so a read of the settings after it
        // sees at least that generation.
        let word = Word(self.words[quota].load(Acquire));
        let (generation, terms) = Terms::read(&self.quotas[quota]);
        let state = if word.is_of(generation) {
            word.state()
        } else {
            let old = Terms::at(&self.quotas[quota], word.generation());
            terms.adopt(old, word.state(), now)
        };
        (generation, terms, word, state)
    }

    /// Refunds the first quotas, at the time they were taken, after a later quota failed.
    #[cold]
    fn undo(self, taken: &[Word], now: u64, cost: u32) {
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

    fn refunded(self) -> u32 {
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

    /// Takes an unconditional cost, even if that leaves a debt.
    pub(crate) fn charge(self, now: u64, cost: u32) {
        let now = now.min(MAX_NOW);
        for quota in 0..N {
            loop {
                let (generation, terms, word, state) = self.current(quota, now);
                let next = Word::new(generation, terms.charge(state, now, cost));
                let replaced =
                    self.words[quota].compare_exchange_weak(word.0, next.0, AcqRel, Acquire);
                if replaced.is_ok() {
                    break;
                }
            }
        }
    }

    /// A token with these words, for tokens of a lease.
    #[inline]
    pub(crate) fn token(self, words: [Word; N], cost: u32) -> Token<N> {
        Token {
            words,
            cost,
            refunded: self.refunded(),
        }
    }

    /// Replaces the first quota's state by what `to` returns for generation, terms and state.
    /// `false` when `to` returns `None`.
    pub(crate) fn move_state(
        self,
        now: u64,
        mut to: impl FnMut(u64, Terms, u64) -> Option<u64>,
    ) -> bool {
        loop {
            let (generation, terms, word, state) = self.current(0, now);
            let Some(state) = to(generation, terms, state) else {
                return false;
            };
            let next = Word::new(generation, state);
            let moved = self.words[0].compare_exchange_weak(word.0, next.0, AcqRel, Acquire);
            if moved.is_ok() {
                return true;
            }
        }
    }

    /// Takes tokens until at least as much has been taken as from `others`.
    pub(crate) fn raise_to(self, others: &[AtomicU64; N], now: u64) {
        let now = now.min(MAX_NOW);
        let others = Cell {
            words: others,
            ..self
        };
        for quota in 0..N {
            loop {
                let (generation, terms, word, state) = self.current(quota, now);
                let (same, _, _, other) = others.current(quota, now);
                let next = Word::new(generation, terms.most_taken(state, other, now));
                if same == generation
                    && (next == word
                        || self.words[quota]
                            .compare_exchange_weak(word.0, next.0, AcqRel, Acquire)
                            .is_ok())
                {
                    break;
                }
            }
        }
    }

    /// Tokens that every quota has left, of the share of its burst that it holds.
    pub(crate) fn remaining(self, share: Share, now: u64) -> u64 {
        let remaining = self.each(now, |terms, state, now| {
            terms.remaining(terms.cold(state, share, now, 1), now)
        });
        remaining.into_iter().min().unwrap_or(0)
    }

    /// Tokens left in the bucket and in the leases on it.
    pub(crate) fn remaining_with(self, leases: &Leases, now: u64) -> u64 {
        let now = now.min(MAX_NOW);
        let (generation, terms, _, tat) = self.current(0, now);
        let leased = leases.leased(generation, now);
        terms.remaining(tat.saturating_sub(leased), now)
    }

    /// Nanoseconds for which all quotas have been full; `None` while anything that was taken still
    /// counts.
    ///
    /// After a change of the quotas, a state that was not read since counts from its first read.
    pub(crate) fn full_for(self, now: u64) -> Option<u64> {
        self.refresh(now);
        let whole = self.each(now, Terms::full_for);
        whole
            .into_iter()
            .try_fold(u64::MAX, |least, whole| Some(least.min(whole?)))
    }

    /// A time that orders cells: the later it is, the more has been taken.
    pub(crate) fn rank(self, now: u64) -> u64 {
        let ranks = self.each(now, Terms::rank);
        ranks.into_iter().max().unwrap_or(0)
    }

    fn each<R>(self, now: u64, read: impl Fn(Terms, u64, u64) -> R) -> [R; N] {
        let now = now.min(MAX_NOW);
        array::from_fn(|quota| {
            let (_, terms, _, state) = self.current(quota, now);
            read(terms, state, now)
        })
    }
}

impl Empty {
    /// The rejection with the longer wait.
    fn longer(one: Option<Self>, other: Self) -> Self {
        match one {
            Some(one)
                if one
                    .wait
                    .is_none_or(|one| other.wait.is_some_and(|wait| wait <= one)) =>
            {
                one
            }
            _ => other,
        }
    }
}

#[cfg(all(test, loom))]
mod loom_tests;
