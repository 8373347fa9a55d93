//! The quotas of one key on atomics: taking is one compare-and-swap per quota, giving back never hands anything out twice.

use std::{
    array,
    sync::atomic::Ordering::{AcqRel, Acquire, Release},
};

use crate::{
    gcra::Unused,
    lanes::Lanes,
    refunds::Ledger,
    share::Share,
    sync::AtomicU64,
    terms::{LiveQuota, Terms},
    word::{GENERATIONS, MAX_NOW, Word},
};

/// Bits of a cell's tag that count what was given back. Above them is the key's mark, where there are keys.
pub(crate) const RETURNED_BITS: u32 = 24;
const RETURNED: u64 = (1 << RETURNED_BITS) - 1;
/// Tokens that a reset adds to the count. A token that sees the count grow by this much is not
/// given back, so it must exceed the number of tokens given back while one request runs.
const RESET: u32 = 1 << 22;

/// The state of `N` quotas of one key, wherever it is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cell<'a, const N: usize> {
    pub(crate) quotas: &'a [LiveQuota; N],
    /// Below, the number of tokens that were given back, modulo 2^24. What is above is not this module's.
    pub(crate) tag: &'a AtomicU64,
    pub(crate) words: &'a [AtomicU64; N],
}

/// What was taken, with what is needed to give it back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Token<const N: usize> {
    pub(crate) words: [Word; N],
    pub(crate) cost: u32,
    /// The cell's count of tokens given back, in the lower [`RETURNED_BITS`]. The bits above it
    /// have no meaning: [`returned_since`](Self::returned_since) drops them.
    returned: u32,
}

/// Not every quota had what was asked for. Nothing was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Empty {
    /// The quota that makes the caller wait longest.
    pub(crate) quota: usize,
    /// Nanoseconds until it has enough, or `None` when it never will.
    pub(crate) wait: Option<u64>,
    pub(crate) generation: u64,
}

impl<const N: usize> Token<N> {
    /// Tokens given back since this token was taken, when the cell's count is `returned`.
    pub(crate) fn returned_since(&self, returned: u32) -> u32 {
        returned.wrapping_sub(self.returned) & RETURNED as u32
    }

    /// Whether this certainly comes after `other` in the bucket's schedule. Between two that saw the same count
    /// nothing was given back, so the one that moved the bucket further came later. With leases (`leased`) the
    /// order of the schedule is not that of taking.
    pub(crate) fn is_after(&self, other: &Self, leased: bool) -> bool {
        let ahead = self.words[0].state() > other.words[0].state();
        match other.returned_since(self.returned) {
            0 => ahead,
            more if u64::from(more) <= RETURNED / 2 => ahead || !leased,
            _ => false,
        }
    }

    /// Of a request that was not counted.
    pub(crate) const fn nothing() -> Self {
        Self {
            words: [Word(0); N],
            cost: 0,
            returned: 0,
        }
    }
}

/// Another thread was here, or a quota was changed: look again.
pub(crate) struct Stale;

impl<const N: usize> Cell<'_, N> {
    /// Takes `cost` from every quota, or nothing from any. A refusal writes nothing (but for the first look after a
    /// quota was changed).
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

    /// Takes from quotas that hold only a share of their burst while they warm up.
    pub(crate) fn take_cold(self, share: Share, now: u64, cost: u32) -> Result<Token<N>, Empty> {
        let now = now.min(MAX_NOW);
        let ask = |words, state| {
            let terms = Terms::from_words(words);
            terms.ask(terms.cold(state, share, now, cost), now, cost)
        };
        loop {
            match self.try_take_if(now, cost, ask) {
                Ok(taken) => return taken,
                Err(Stale) => self.refresh(now),
            }
        }
    }

    /// Whether [`take`](Self::take) would be admitted. Writes nothing.
    pub(crate) fn look_for(self, now: u64, cost: u32) -> Result<(), Empty> {
        let now = now.min(MAX_NOW);
        let mut empty = None;
        for quota in 0..N {
            let (generation, terms, _, state) = self.look(quota, now);
            if let Err(wait) = terms.ask(state, now, cost) {
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

    /// One attempt to take from full quotas.
    #[inline(always)]
    #[allow(clippy::inline_always)] // see `try_take_if`
    pub(crate) fn try_take(self, now: u64, cost: u32) -> Result<Result<Token<N>, Empty>, Stale> {
        self.try_take_if(now, cost, |words, state| {
            Terms::ask_words(words, state, now, cost)
        })
    }

    /// One attempt to take from every quota to which `ask` finds a next state, by its words and its
    /// state.
    ///
    /// Performance: always inlined, and generic over `ask`. Out of line, the token was written to
    /// memory and read again; and a quota without warm-up was tested for its share of the burst on
    /// every request (`instructions`, `rate-limit@accept`).
    #[inline(always)]
    #[allow(clippy::inline_always)]
    fn try_take_if(
        self,
        now: u64,
        cost: u32,
        ask: impl Fn([u64; 2], u64) -> Result<u64, Option<u64>>,
    ) -> Result<Result<Token<N>, Empty>, Stale> {
        let returned = self.tag.load(Acquire) as u32;
        let mut words = [Word(0); N];
        let mut next = [Word(0); N];
        let mut empty = None;
        // First a look at all of them: a refusal writes nothing, and tells the longest wait.
        for quota in 0..N {
            let (generation, setting) = self.quotas[quota].read();
            let word = Word(self.words[quota].load(Acquire));
            if !word.is_of(generation) {
                return Err(Stale);
            }
            words[quota] = word;
            match ask(setting, word.state()) {
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
            returned,
        }))
    }

    /// Brings the words up to the settings, if need be. Debts are reckoned anew once, or they would shrink at the
    /// old quota's pace.
    #[cold]
    #[inline(never)]
    pub(crate) fn refresh(self, now: u64) {
        for quota in 0..N {
            let (generation, _, word, state) = self.look(quota, now);
            let to = Word::new(generation, state).0;
            if word.0 != to {
                // Whoever was faster has done the same.
                _ = self.words[quota].compare_exchange(word.0, to, AcqRel, Acquire);
            }
        }
    }

    /// The settings' generation and terms, the word, and its state under them.
    pub(crate) fn look(self, quota: usize, now: u64) -> (u64, Terms, Word, u64) {
        // The word first: whoever wrote it had seen its generation, and so does who reads the settings after it.
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

    /// A later quota was gone: the first ones are given back, in the moment in which they were taken.
    #[cold]
    fn undo(self, taken: &[Word], now: u64, cost: u32) {
        for (quota, word) in taken.iter().enumerate() {
            self.put_back(quota, *word, Unused::at_once(cost, now));
        }
        if !taken.is_empty() {
            self.count_returned(cost);
        }
    }

    /// Gives back what was taken at `admitted` (or later) and not used by `now`; see
    /// [`Gcra::returned`](crate::gcra::Gcra::returned) for how much of it. What was taken under a
    /// quota that has since been replaced is given back as tokens of the new one, unless the
    /// algorithm was changed in between.
    pub(crate) fn give_back(
        self,
        token: Token<N>,
        (admitted, now): (u64, u64),
        ledger: Ledger<'_, N>,
    ) {
        // After a reset nothing of it is missing.
        if token.cost == 0 || token.returned_since(self.returned()) >= RESET {
            return;
        }
        let unused = Unused {
            cost: token.cost,
            admitted: admitted.min(MAX_NOW),
            now: now.min(MAX_NOW),
            moved: 0,
        };
        let newest = (0..N)
            .take_while(|quota| self.put_back_newest(*quota, &token, unused))
            .count();
        if newest == N {
            return;
        }
        let mut recent = ledger.lock();
        let moved = recent.moved(&token, self.returned());
        let mut parts = [0; N];
        for quota in newest..N {
            let unused = Unused {
                moved: moved[quota],
                ..unused
            };
            parts[quota] = self.put_back(quota, token.words[quota], unused);
        }
        // Last, so that whoever took a token before the words were put back hears of it.
        let after = self.count_returned(token.cost);
        recent.push(token, after, parts);
    }

    /// Gives back the newest token, as if it had never been taken. `false` when another token may
    /// have been taken after it.
    fn put_back_newest(self, quota: usize, token: &Token<N>, unused: Unused) -> bool {
        let word = token.words[quota];
        if token.returned_since(self.returned()) > 0 {
            return false;
        }
        let terms = Terms::at(&self.quotas[quota], word.generation());
        let (state, _) =
            terms.give_back(word.state(), word, Unused::at_once(unused.cost, unused.now));
        let before = Word::new(word.generation(), state);
        self.words[quota]
            .compare_exchange(word.0, before.0, AcqRel, Acquire)
            .is_ok()
    }

    /// Gives back one quota's part of a token. Returns how far tokens taken later move up, in parts
    /// of a token.
    fn put_back(self, quota: usize, taken: Word, unused: Unused) -> u64 {
        loop {
            let (generation, terms, word, state) = self.look(quota, unused.now);
            let (state, parts) = if taken.is_of(generation) {
                terms.give_back(state, taken, unused)
            } else {
                let old = self.taken_under(quota, taken, generation);
                old.map_or((state, 0), |(old, fastest)| {
                    terms.give_back_under(old, fastest, state, taken, unused)
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
                (Terms::Window(old), Terms::Window(window)) if window.is_as(old) => {}
                _ => return None,
            }
        }
        Some((old, fastest))
    }

    fn returned(self) -> u32 {
        (self.tag.load(Acquire) & RETURNED) as u32
    }

    /// Counts tokens that were given back, and returns the new count.
    pub(crate) fn count_returned(self, cost: u32) -> u32 {
        let count = |tag: u64| (tag & !RETURNED) | (tag.wrapping_add(cost.into()) & RETURNED);
        let mut tag = self.tag.load(Acquire);
        loop {
            let next = count(tag);
            match self.tag.compare_exchange_weak(tag, next, AcqRel, Acquire) {
                Ok(_) => return (next & RETURNED) as u32,
                Err(current) => tag = current,
            }
        }
    }

    /// Forgets what was taken. Tokens that were taken before are not given back.
    pub(crate) fn reset(self) {
        self.count_returned(RESET);
        for quota in 0..N {
            let (generation, _) = Terms::read(&self.quotas[quota]);
            self.words[quota].store(Word::new(generation, 0).0, Release);
        }
    }

    /// Adds tokens to every quota, at most as many as are missing from it.
    pub(crate) fn grant(self, now: u64, tokens: u32) {
        let now = now.min(MAX_NOW);
        // First, since the tokens that were taken move up.
        self.count_returned(tokens.min(RESET));
        for quota in 0..N {
            loop {
                let (generation, terms, word, state) = self.look(quota, now);
                let next = Word::new(generation, terms.grant(state, now, tokens));
                let replaced =
                    self.words[quota].compare_exchange_weak(word.0, next.0, AcqRel, Acquire);
                if replaced.is_ok() {
                    break;
                }
            }
        }
    }

    /// Counts tokens of a lease that were given back.
    pub(crate) fn count_moved(self, tokens: u32) {
        if tokens > 0 {
            self.count_returned(tokens);
        }
    }

    /// Takes a cost that is known only now, even if that leaves a debt.
    pub(crate) fn charge(self, now: u64, cost: u32) {
        let now = now.min(MAX_NOW);
        for quota in 0..N {
            loop {
                let (generation, terms, word, state) = self.look(quota, now);
                let next = Word::new(generation, terms.charge(state, now, cost));
                let replaced =
                    self.words[quota].compare_exchange_weak(word.0, next.0, AcqRel, Acquire);
                if replaced.is_ok() {
                    break;
                }
            }
        }
    }

    /// A token with these words, of tokens that were taken in advance.
    #[inline]
    pub(crate) fn token(self, words: [Word; N], cost: u32) -> Token<N> {
        Token {
            words,
            cost,
            returned: self.returned(),
        }
    }

    /// Changes the first quota's state to what `to` makes of generation, terms and state; `false` when that is nothing.
    pub(crate) fn move_state(
        self,
        now: u64,
        mut to: impl FnMut(u64, Terms, u64) -> Option<u64>,
    ) -> bool {
        loop {
            let (generation, terms, word, state) = self.look(0, now);
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

    /// Takes what is missing to have taken as much as has been taken from these words.
    pub(crate) fn raise_to(self, others: &[AtomicU64; N], now: u64) {
        let now = now.min(MAX_NOW);
        let others = Cell {
            words: others,
            ..self
        };
        for quota in 0..N {
            loop {
                let (generation, terms, word, state) = self.look(quota, now);
                let (same, _, _, other) = others.look(quota, now);
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

    /// What the bucket has left, and the leases on it.
    pub(crate) fn remaining_with(self, lanes: &Lanes, now: u64) -> u64 {
        let now = now.min(MAX_NOW);
        let (generation, terms, _, tat) = self.look(0, now);
        let leased = lanes.leased(generation, now);
        terms.remaining(tat.saturating_sub(leased), now)
    }

    /// Nanoseconds for which nothing that was taken has counted; `None` while something does.
    ///
    /// Under quotas that were changed since the last request, the time since the first look.
    pub(crate) fn whole_for(self, now: u64) -> Option<u64> {
        self.refresh(now);
        let whole = self.each(now, Terms::whole_for);
        whole
            .into_iter()
            .try_fold(u64::MAX, |least, whole| Some(least.min(whole?)))
    }

    /// The later, the more has been taken.
    pub(crate) fn rank(self, now: u64) -> u64 {
        let ranks = self.each(now, Terms::rank);
        ranks.into_iter().max().unwrap_or(0)
    }

    fn each<R>(self, now: u64, ask: impl Fn(Terms, u64, u64) -> R) -> [R; N] {
        let now = now.min(MAX_NOW);
        array::from_fn(|quota| {
            let (_, terms, _, state) = self.look(quota, now);
            ask(terms, state, now)
        })
    }
}

impl Empty {
    /// Of two quotas that refuse, the one that refuses longer.
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
