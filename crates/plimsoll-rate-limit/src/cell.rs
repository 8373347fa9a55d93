//! The quotas of one key on atomics: one compare-and-swap per quota; a token is never refunded
//! twice.

mod refund;

use std::{
    array,
    sync::atomic::Ordering::{AcqRel, Acquire},
};

use crate::{
    share::Share,
    sync::AtomicU64,
    terms::{LiveQuota, Terms},
    token::{Empty, Token},
    word::{MAX_NOW, Word},
};

/// The state of one key's `N` quotas. Borrowed from its storage.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cell<'a, const N: usize> {
    pub(crate) quotas: &'a [LiveQuota; N],
    /// The lower bits count refunded tokens, modulo 2^24. The bits above belong to the keyed table.
    pub(crate) tag: &'a AtomicU64,
    pub(crate) words: &'a [AtomicU64; N],
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

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod tests;
