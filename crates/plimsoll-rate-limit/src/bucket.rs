//! One token bucket on atomics: taking a token is one compare-and-swap, giving one back never hands it out twice.

use std::sync::{
    PoisonError,
    atomic::Ordering::{AcqRel, Acquire, Relaxed, Release},
};

use plimsoll_core::Live;

use crate::{
    gcra::{Return, Terms},
    sync::{AtomicU64, Mutex},
};

/// Bits of a bucket's word that hold the theoretical arrival time: 36 years of nanoseconds.
const TAT_BITS: u32 = 60;
/// Quotas that can be told apart in what is left of the word.
const GENERATIONS: usize = 1 << (u64::BITS - TAT_BITS);
/// The longest time in which a bucket may refill: 417 days.
pub(crate) const MAX_REFILL: u64 = 1 << 55;
/// Later moments read as this one, so that no arrival time overflows. After 35 years the clock stands still.
const MAX_NOW: u64 = (1 << TAT_BITS) - 1 - MAX_REFILL;

/// Increment, tolerance, count and period: a quota that can be changed while it is in use.
pub(crate) type LiveQuota = Live<4, GENERATIONS>;

/// The generation, and the terms of the quota.
#[inline]
fn terms_of(quota: &LiveQuota) -> (u64, Terms) {
    let (generation, [increment, tolerance]) = quota.read();
    (
        generation,
        Terms {
            increment,
            tolerance,
        },
    )
}

/// An arrival time, and below it the generation of the quota under which it was reckoned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word(u64);

impl Word {
    #[inline]
    const fn new(generation: u64, tat: u64) -> Self {
        Self((tat << (u64::BITS - TAT_BITS)) | (generation % GENERATIONS as u64))
    }

    #[inline]
    pub(crate) const fn tat(self) -> u64 {
        self.0 >> (u64::BITS - TAT_BITS)
    }

    /// The generation's last four bits.
    #[inline]
    pub(crate) const fn generation(self) -> u64 {
        self.0 % GENERATIONS as u64
    }

    #[inline]
    const fn is_of(self, generation: u64) -> bool {
        self.generation() == generation % GENERATIONS as u64
    }
}

/// A token bucket.
///
/// Whether a token is to be had is decided on `word` alone. The other fields serve those who give tokens back.
#[derive(Debug)]
pub(crate) struct Bucket {
    word: AtomicU64,
    /// The latest moment at which a token was taken. Written before the word, so whoever sees a token taken sees a
    /// moment no earlier than its own.
    latest: AtomicU64,
    /// The sum of what was given back. Written after the word, so whoever reads a sum and then the word sees all of
    /// it in the word.
    returned: AtomicU64,
    /// Tokens are given back one after the other: then the word can only grow while one looks at it.
    returning: Mutex<()>,
}

/// A token, with what is needed to give it back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Token {
    pub(crate) word: Word,
    pub(crate) taken_at: u64,
    returned: u64,
}

/// No token was to be had.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Empty {
    pub(crate) wait: u64,
    pub(crate) generation: u64,
}

impl Bucket {
    /// A full bucket.
    pub(crate) fn new() -> Self {
        Self {
            word: AtomicU64::new(0),
            latest: AtomicU64::new(0),
            returned: AtomicU64::new(0),
            returning: Mutex::new(()),
        }
    }

    /// Takes a token. Writes nothing when there is none (but for the first look after the quota was changed).
    #[inline]
    pub(crate) fn take(&self, quota: &LiveQuota, now: u64) -> Result<Token, Empty> {
        let now = now.min(MAX_NOW);
        let (generation, terms) = terms_of(quota);
        let returned = self.returned.load(Acquire);
        let word = Word(self.word.load(Acquire));
        if word.is_of(generation) {
            let tat = match terms.ask(word.tat(), now) {
                Ok(tat) => tat,
                Err(wait) => return Err(Empty { wait, generation }),
            };
            self.take_note(now);
            let next = Word::new(generation, tat);
            if self.replace(word, next).is_ok() {
                return Ok(Token {
                    word: next,
                    taken_at: now,
                    returned,
                });
            }
        }
        self.take_again(quota, now)
    }

    /// Somebody else took a token at the same time, or the quota was changed.
    #[cold]
    #[inline(never)]
    fn take_again(&self, quota: &LiveQuota, now: u64) -> Result<Token, Empty> {
        let (mut generation, mut terms) = terms_of(quota);
        let returned = self.returned.load(Acquire);
        let mut word = Word(self.word.load(Acquire));
        loop {
            let mut tat = word.tat();
            let stale = !word.is_of(generation);
            if stale {
                // Perhaps it is this thread that has not heard of the change.
                (generation, terms) = terms_of(quota);
                tat = Self::adopted(word, quota, generation, terms, now);
            }
            let asked = terms.ask(tat, now);
            let next = match asked {
                Ok(next) => {
                    self.take_note(now);
                    Word::new(generation, next)
                }
                Err(wait) if !stale => return Err(Empty { wait, generation }),
                // Debts are reckoned anew once, or they would shrink at the old quota's pace.
                Err(_) => Word::new(generation, tat),
            };
            match self.replace(word, next) {
                Ok(_) => {
                    return match asked {
                        Ok(_) => Ok(Token {
                            word: next,
                            taken_at: now,
                            returned,
                        }),
                        Err(wait) => Err(Empty { wait, generation }),
                    };
                }
                Err(current) => word = Word(current),
            }
        }
    }

    #[inline]
    fn replace(&self, word: Word, next: Word) -> Result<u64, u64> {
        self.word
            .compare_exchange_weak(word.0, next.0, AcqRel, Acquire)
    }

    /// A token is about to be taken at this moment.
    #[inline]
    fn take_note(&self, now: u64) {
        let latest = self.latest.load(Relaxed);
        // Mostly nobody else writes, and one try is shorter than `fetch_max`.
        if latest < now
            && self
                .latest
                .compare_exchange_weak(latest, now, Relaxed, Relaxed)
                .is_err()
        {
            self.latest.fetch_max(now, Relaxed);
        }
    }

    /// The arrival time under the terms of this generation.
    fn adopted(word: Word, quota: &LiveQuota, generation: u64, terms: Terms, now: u64) -> u64 {
        if word.is_of(generation) {
            return word.tat();
        }
        let [increment, tolerance] = quota.at(word.generation());
        terms.adopt(
            Terms {
                increment,
                tolerance,
            },
            word.tat(),
            now,
        )
    }

    /// Gives a token back, unless the clock already did; see [`Return::amount`]. One that was taken under a
    /// quota that has since been replaced is not given back.
    pub(crate) fn give_back(&self, quota: &LiveQuota, token: Token) {
        let _returning = self
            .returning
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let returned = self.returned.load(Acquire);
        let returned_since = returned.wrapping_sub(token.returned);
        let [increment] = quota.at(token.word.generation());
        let mut word = Word(self.word.load(Acquire));
        while word.is_of(token.word.generation()) {
            // Nothing was taken after it: exactly as before.
            let newest = word == token.word && returned_since == 0;
            let amount = if newest {
                increment
            } else {
                let (tat, taken_at) = (token.word.tat(), token.taken_at);
                let latest = self.latest.load(Acquire);
                Return {
                    taken_at,
                    tat,
                    latest,
                    returned_since,
                }
                .amount(increment)
            };
            let next = Word::new(word.generation(), word.tat().saturating_sub(amount));
            match self
                .word
                .compare_exchange_weak(word.0, next.0, AcqRel, Acquire)
            {
                Ok(_) => {
                    // The newest token's return moves nobody else's.
                    if !newest {
                        self.returned.store(returned.wrapping_add(amount), Release);
                    }
                    return;
                }
                Err(current) => word = Word(current),
            }
        }
    }

    /// Nanoseconds until the bucket is full.
    pub(crate) fn full_in(&self, quota: &LiveQuota, now: u64) -> u64 {
        let now = now.min(MAX_NOW);
        self.look(quota, now).1.saturating_sub(now)
    }

    /// Tokens in the bucket.
    pub(crate) fn tokens(&self, quota: &LiveQuota, now: u64) -> u64 {
        let now = now.min(MAX_NOW);
        let (terms, tat) = self.look(quota, now);
        terms.remaining(tat, now)
    }

    /// The terms, and the arrival time under them.
    fn look(&self, quota: &LiveQuota, now: u64) -> (Terms, u64) {
        let (generation, terms) = terms_of(quota);
        let word = Word(self.word.load(Acquire));
        (terms, Self::adopted(word, quota, generation, terms, now))
    }

    /// Fills the bucket. Nobody holds a token of it.
    pub(crate) fn fill(&self) {
        self.word.store(0, Release);
        self.latest.store(0, Release);
    }
}

#[cfg(all(test, loom))]
mod loom_tests;
