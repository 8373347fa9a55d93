//! A quota as the algorithms read it: one of them, by what is in two words.

use crate::{
    gcra::{Gcra, Unused},
    pace::Pace,
    window::Window,
    word::{GENERATIONS, Word},
};
use plimsoll_core::Live;

/// Two words for the decision, then count and period: a quota that can be changed while it is in use.
pub(crate) type LiveQuota = Live<4, GENERATIONS>;

/// Which algorithm, in the first word's highest bits.
const RULE: u32 = 62;
const FIXED: u64 = 1;
const SLIDING: u64 = 2;

/// How requests are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Terms {
    Bucket(Gcra),
    Window(Window),
}

impl Terms {
    /// The generation of the settings, and the terms.
    #[inline]
    pub(crate) fn read(quota: &LiveQuota) -> (u64, Self) {
        let (generation, words) = quota.read();
        (generation, Self::from_words(words))
    }

    /// The terms of an earlier generation.
    #[inline]
    pub(crate) fn at(quota: &LiveQuota, generation: u64) -> Self {
        Self::from_words(quota.at(generation))
    }

    #[inline]
    pub(crate) const fn from_words([head, tail]: [u64; 2]) -> Self {
        match head >> RULE {
            0 => Self::Bucket(Gcra {
                increment: head,
                capacity: tail,
            }),
            rule => Self::Window(Window {
                limit: head & ((1 << RULE) - 1),
                period: tail,
                slides: rule == SLIDING,
            }),
        }
    }

    pub(crate) const fn to_words(self) -> [u64; 2] {
        match self {
            Self::Bucket(gcra) => [gcra.increment, gcra.capacity],
            Self::Window(window) => {
                let rule = if window.slides { SLIDING } else { FIXED };
                [(rule << RULE) | window.limit, window.period]
            }
        }
    }

    /// A bucket that is refilled more slowly, as a request of this cost sees it. A burst that shrinks with the rate would shrink to
    /// nothing: what the bucket takes when it is warm it takes when it is cold, if nothing is missing from it.
    #[inline]
    pub(crate) fn at_pace(self, pace: Pace, cost: u32) -> Self {
        match self {
            Self::Bucket(gcra) if pace != Pace::FULL => Self::Bucket(gcra.at_pace(pace, cost)),
            as_set => as_set,
        }
    }

    /// The next state, or how long until the same request would be let in: `None` when it never will.
    #[inline]
    pub(crate) fn ask(self, state: u64, now: u64, cost: u32) -> Result<u64, Option<u64>> {
        match self {
            Self::Bucket(gcra) => gcra.ask(state, now, cost),
            Self::Window(window) => window.ask(state, now, cost),
        }
    }

    /// The state after a cost that nobody asks about any more.
    pub(crate) fn charge(self, state: u64, now: u64, cost: u32) -> u64 {
        match self {
            Self::Bucket(gcra) => gcra.charge(state, now, cost),
            Self::Window(window) => window.charge(state, now, cost),
        }
    }

    /// The state after what was taken, and led to `word`, was given back unused; and how far that moves up those
    /// that were taken later, in parts of a token.
    pub(crate) fn give_back(self, state: u64, word: Word, unused: Unused) -> (u64, u64) {
        match self {
            Self::Bucket(gcra) => {
                let back = gcra.returned(word.state(), unused);
                (state.saturating_sub(back), gcra.parts(back))
            }
            Self::Window(window) => {
                let state = window.give_back(state, word.state(), unused.now, unused.cost);
                (state, 0)
            }
        }
    }

    /// What is left.
    pub(crate) fn remaining(self, state: u64, now: u64) -> u64 {
        match self {
            Self::Bucket(gcra) => gcra.remaining(state, now),
            Self::Window(window) => window.remaining(state, now),
        }
    }

    /// How long until nothing that was taken counts any more.
    pub(crate) fn settles_in(self, state: u64, now: u64) -> u64 {
        match self {
            Self::Bucket(_) => state.saturating_sub(now),
            Self::Window(window) => window.settles_in(state, now),
        }
    }

    /// A moment: the later it is, the more has been taken.
    pub(crate) fn rank(self, state: u64, now: u64) -> u64 {
        match self {
            Self::Bucket(_) => state,
            Self::Window(window) => window.rank(state, now),
        }
    }

    /// The state from which as much has been taken as from both of these.
    pub(crate) fn most_taken(self, one: u64, other: u64, now: u64) -> u64 {
        match self {
            Self::Bucket(_) => one.max(other),
            Self::Window(window) => window.most_taken(one, other, now),
        }
    }

    /// The state under these terms of one that was kept under `old` ones: what is missing stays missing.
    pub(crate) fn adopt(self, old: Self, state: u64, now: u64) -> u64 {
        match (self, old) {
            (Self::Bucket(new), Self::Bucket(old)) => new.adopt(old, state, now),
            (Self::Window(new), Self::Window(old)) => new.adopt(old, state, now),
            (Self::Bucket(new), Self::Window(old)) => {
                new.missing(old.limit - old.remaining(state, now).min(old.limit), now)
            }
            (Self::Window(new), Self::Bucket(old)) => {
                let burst = old.capacity / old.increment.max(1);
                new.missing(burst.saturating_sub(old.remaining(state, now)), now)
            }
        }
    }
}
