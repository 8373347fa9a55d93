//! A quota as the algorithms read it: an algorithm and its parameters in two words.

use crate::{
    CalendarUnit,
    gcra::{Gcra, Unused},
    share::Share,
    window::Window,
    word::{GENERATIONS, Word},
};
use plimsoll_core::policy::Live;

/// A quota that can be changed while it is in use: two words for the decision, then count and
/// period.
pub(crate) type LiveQuota = Live<4, GENERATIONS>;

/// Position of the algorithm in the first word: its two highest bits. 0 is the bucket.
const RULE: u32 = 62;
const FIXED: u64 = 1;
const SLIDING: u64 = 2;
const CALENDAR: u64 = 3;
/// Fields of a window below the rule: the calendar unit, the UTC offset in minutes, the bits of a
/// count, and the limit.
const UNIT: u32 = 60;
const OFFSET: u32 = 44;
const OFFSET_BIAS: i32 = 1 << 11;
const BITS: u32 = 36;
const LIMIT_MASK: u64 = (1 << BITS) - 1;

/// The algorithm and its parameters.
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
            rule => Self::window(head, tail, rule),
        }
    }

    const fn window(head: u64, tail: u64, rule: u64) -> Self {
        let (period, shift) = match Self::calendar(head) {
            Some((unit, _)) => (unit.period().as_nanos() as u64, tail),
            None => (tail, 0),
        };
        Self::Window(Window {
            limit: head & LIMIT_MASK,
            period,
            slides: rule == SLIDING,
            bits: ((head >> BITS) & 63) as u32,
            shift,
        })
    }

    /// The calendar unit in the first word of a window, and its UTC offset in minutes.
    pub(crate) const fn calendar(head: u64) -> Option<(CalendarUnit, i32)> {
        if head >> RULE != CALENDAR {
            return None;
        }
        let unit = CalendarUnit::ALL[((head >> UNIT) & 3) as usize % CalendarUnit::ALL.len()];
        let offset = ((head >> OFFSET) & 0xfff) as i32 - OFFSET_BIAS;
        Some((unit, offset))
    }

    /// The terms as two words. A window's counts keep at least the bits that they have under `old`
    /// terms, so that the counts can be carried over.
    pub(crate) fn to_words(
        self,
        calendar: Option<(CalendarUnit, i32)>,
        old: Option<Self>,
    ) -> [u64; 2] {
        let window = match self {
            Self::Bucket(gcra) => return [gcra.increment, gcra.capacity],
            Self::Window(window) => window,
        };
        let bits = match old {
            Some(Self::Window(old)) => window.bits.max(old.bits).min(window.most_bits()),
            // A bucket may lack any number of tokens.
            Some(Self::Bucket(_)) => window.most_bits(),
            None => window.bits,
        };
        let counted = (u64::from(bits) << BITS) | window.limit;
        if let Some((unit, offset)) = calendar {
            let offset = u64::from((offset + OFFSET_BIAS).unsigned_abs());
            let head = (CALENDAR << RULE) | ((unit as u64) << UNIT) | (offset << OFFSET);
            return [head | counted, window.shift];
        }
        let rule = if window.slides { SLIDING } else { FIXED };
        [(rule << RULE) | counted, window.period]
    }

    /// The state that a request of this cost sees while the bucket holds only a share of its burst.
    #[inline]
    pub(crate) fn cold(self, state: u64, share: Share, now: u64, cost: u32) -> u64 {
        match self {
            Self::Bucket(gcra) if share != Share::FULL => gcra.cold(state, share, now, cost),
            _ => state,
        }
    }

    /// The decision of [`decide`](Self::decide), straight from the words of a quota.
    ///
    /// Performance: the words of a window are decoded out of line, so that the decision of a bucket
    /// is short enough to be inlined into the gate (`instructions`, `rate-limit@accept`).
    #[inline]
    pub(crate) fn decide_words(
        [head, tail]: [u64; 2],
        state: u64,
        now: u64,
        cost: u32,
    ) -> Result<u64, Option<u64>> {
        if head >> RULE != 0 {
            return Self::decide_window([head, tail], state, now, cost);
        }
        let gcra = Gcra {
            increment: head,
            capacity: tail,
        };
        gcra.decide(state, now, cost)
    }

    #[inline(never)]
    fn decide_window(words: [u64; 2], state: u64, now: u64, cost: u32) -> Result<u64, Option<u64>> {
        Self::from_words(words).decide(state, now, cost)
    }

    /// Returns the next state, or the wait until the same request is admitted: `None` for never.
    #[inline]
    pub(crate) fn decide(self, state: u64, now: u64, cost: u32) -> Result<u64, Option<u64>> {
        match self {
            Self::Bucket(gcra) => gcra.decide(state, now, cost),
            Self::Window(window) => window.decide(state, now, cost),
        }
    }

    /// The state after an unconditional cost, which may leave a debt.
    pub(crate) fn charge(self, state: u64, now: u64, cost: u32) -> u64 {
        match self {
            Self::Bucket(gcra) => gcra.charge(state, now, cost),
            Self::Window(window) => window.charge(state, now, cost),
        }
    }

    /// [`refund`](Self::refund) for tokens that were taken under `old` terms. The same number of
    /// tokens is refunded. `fastest` is the shortest refill time of one token since then.
    pub(crate) fn refund_under(
        self,
        old: Self,
        fastest: u64,
        state: u64,
        word: Word,
        unused: Unused,
    ) -> (u64, u64) {
        match (self, old) {
            (Self::Bucket(new), Self::Bucket(old)) => {
                let unused = old.refilled_faster(fastest, unused);
                let back = old.refundable(word.state(), unused);
                (state.saturating_sub(new.worth(old, back)), old.parts(back))
            }
            (Self::Window(new), Self::Window(old)) => {
                let then = old.number_of(word.state());
                (new.refund(state, then, unused.now, unused.cost), 0)
            }
            _ => (state, 0),
        }
    }

    /// The state with `tokens` added, at most as many as are missing.
    pub(crate) fn grant(self, state: u64, now: u64, tokens: u32) -> u64 {
        match self {
            Self::Bucket(gcra) => state.saturating_sub(gcra.span(tokens)),
            Self::Window(window) => window.grant(state, now, tokens),
        }
    }

    /// The state after unused tokens were refunded, and how far tokens taken later move up, in
    /// parts of a token. `word` is the word after the tokens were taken.
    pub(crate) fn refund(self, state: u64, word: Word, unused: Unused) -> (u64, u64) {
        match self {
            Self::Bucket(gcra) => {
                let back = gcra.refundable(word.state(), unused);
                (state.saturating_sub(back), gcra.parts(back))
            }
            Self::Window(window) => {
                let then = window.number_of(word.state());
                let state = window.refund(state, then, unused.now, unused.cost);
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

    /// Time until nothing that was taken counts.
    pub(crate) fn settles_in(self, state: u64, now: u64) -> u64 {
        match self {
            Self::Bucket(_) => state.saturating_sub(now),
            Self::Window(window) => window.settles_in(state, now),
        }
    }

    /// How long the quota has been full; `None` while anything that was taken still counts.
    pub(crate) fn full_for(self, state: u64, now: u64) -> Option<u64> {
        match self {
            Self::Bucket(_) => now.checked_sub(state),
            Self::Window(window) => window.full_for(state, now),
        }
    }

    /// A time that orders cells: the later it is, the more has been taken.
    pub(crate) fn rank(self, state: u64, now: u64) -> u64 {
        match self {
            Self::Bucket(_) => state,
            Self::Window(window) => window.rank(state, now),
        }
    }

    /// The state in which as much has been taken as in both of these.
    pub(crate) fn most_taken(self, one: u64, other: u64, now: u64) -> u64 {
        match self {
            Self::Bucket(_) => one.max(other),
            Self::Window(window) => window.most_taken(one, other, now),
        }
    }

    /// Converts a state from `old` terms to these: tokens that are missing stay missing.
    pub(crate) fn adopt(self, old: Self, state: u64, now: u64) -> u64 {
        match (self, old) {
            (Self::Bucket(new), Self::Bucket(old)) => new.adopt(old, state, now),
            (Self::Window(new), Self::Window(old)) => new.adopt(old, state, now),
            (Self::Bucket(new), Self::Window(old)) => new.missing(old.counted(state, now), now),
            (Self::Window(new), Self::Bucket(old)) => {
                let missing = state.saturating_sub(now).div_ceil(old.increment.max(1));
                new.missing(missing, now)
            }
        }
    }
}
