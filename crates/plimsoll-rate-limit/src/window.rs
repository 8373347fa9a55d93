//! Fixed windows and the sliding window counter: state and `now` in, decision out.
//!
//! Windows of one period follow each other from the epoch on. The state is the number of a window,
//! the units taken in it, and the units taken in the previous one. A fixed window ignores the
//! previous one. The sliding counter adds the part of it that lies within one period of `now`, as
//! if its requests had been evenly spaced: `before * left / period + taken` (Cloudflare, "How we
//! built rate limiting capable of scaling to millions of domains").

use crate::word::STATE_BITS;

/// The largest limit of a fixed window, in units: larger counts leave too few bits for the window's
/// number.
pub(crate) const MAX_FIXED: u32 = 1 << 30;
/// The largest limit of a sliding window, in units: two counts and the window's number share one
/// word.
pub(crate) const MAX_SLIDING: u32 = 1 << 20;

/// How late a thread may be: up to `2^-LATE` of the window numbers that fit the state. That is 64
/// windows at the largest limit.
const LATE: u32 = 12;

/// A window's quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) limit: u64,
    /// Nanoseconds. Never 0.
    pub(crate) period: u64,
    pub(crate) slides: bool,
    /// Bits of one count. At least the bits of the limit.
    pub(crate) bits: u32,
    /// Nanoseconds by which windows begin before multiples of the period. Less than the period.
    pub(crate) shift: u64,
}

/// Units taken, as seen from the window of `now`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Taken {
    /// In this window.
    now: u64,
    /// In the previous window.
    before: u64,
}

impl Window {
    /// A window whose counts have as many bits as the limit needs.
    pub(crate) const fn new(limit: u64, period: u64, slides: bool, shift: u64) -> Self {
        Self {
            limit,
            period,
            slides,
            bits: u64::BITS - limit.leading_zeros(),
            shift,
        }
    }

    /// The most bits that a count of this kind of window can have.
    pub(crate) const fn most_bits(self) -> u32 {
        let most = if self.slides { MAX_SLIDING } else { MAX_FIXED };
        u32::BITS - most.leading_zeros()
    }

    /// Returns the next state, or the wait until the same request is admitted: `None` for never.
    #[inline(never)]
    pub(crate) fn decide(self, state: u64, now: u64, cost: u32) -> Result<u64, Option<u64>> {
        let cost = u64::from(cost);
        let (early, number, left, mut taken) = self.view(state, now);
        if self.fits(taken, cost, left) || cost == 0 {
            taken.now += cost;
            Ok(self.pack(number, taken))
        } else if cost > self.limit {
            Err(None)
        } else {
            Err(Some(early + self.wait(taken, cost, left)))
        }
    }

    /// The state after an unconditional cost. A window counts up to its mask and drops the rest.
    pub(crate) fn charge(self, state: u64, now: u64, cost: u32) -> u64 {
        let (_, number, _, mut taken) = self.view(state, now);
        taken.now = taken.now.saturating_add(cost.into());
        self.pack(number, taken)
    }

    /// The stored bits of the number of the window in which this state was written, and their mask.
    pub(crate) const fn number_of(self, state: u64) -> (u64, u64) {
        (state >> self.counts_bits(), self.number_mask())
    }

    /// The state after a cost from window `then` was refunded.
    pub(crate) fn refund(self, state: u64, (then, mask): (u64, u64), now: u64, cost: u32) -> u64 {
        let (_, number, _, mut taken) = self.view(state, now);
        let age = number.wrapping_sub(then) & self.number_mask() & mask;
        match age {
            0 => taken.now = taken.now.saturating_sub(cost.into()),
            1 => taken.before = taken.before.saturating_sub(cost.into()),
            // That window has ended, and its count with it.
            _ => return state,
        }
        self.pack(number, taken)
    }

    /// The state with `units` fewer taken: first from this window, then from the previous one.
    pub(crate) fn grant(self, state: u64, now: u64, units: u32) -> u64 {
        let (_, number, _, taken) = self.view(state, now);
        let rest = u64::from(units).saturating_sub(taken.now);
        let taken = Taken {
            now: taken.now.saturating_sub(units.into()),
            before: taken.before.saturating_sub(rest),
        };
        self.pack(number, taken)
    }

    /// Units that can still be taken.
    pub(crate) fn remaining(self, state: u64, now: u64) -> u64 {
        self.limit.saturating_sub(self.counted(state, now))
    }

    /// Nanoseconds until nothing that was taken counts.
    pub(crate) fn settles_in(self, state: u64, now: u64) -> u64 {
        let (early, _, left, taken) = self.view(state, now);
        match taken {
            Taken { now: 1.., .. } if self.slides => early + left + self.period,
            Taken { now: 0, before: 0 } => 0,
            _ => early + left,
        }
    }

    /// How long the window has been unused; `None` while anything that was taken still counts.
    pub(crate) fn full_for(self, state: u64, now: u64) -> Option<u64> {
        if self.settles_in(state, now) > 0 {
            return None;
        }
        let since_epoch = now + self.shift;
        let number = since_epoch / self.period.max(1);
        let (then, mask) = self.number_of(state);
        let age = number.wrapping_sub(then) & mask;
        // Units of a sliding window also count in the next window.
        let counted = 1 + u64::from(self.slides);
        let whole_at = (number.saturating_sub(age) + counted).saturating_mul(self.period);
        Some(since_epoch.saturating_sub(whole_at))
    }

    /// A time that orders cells: the later it is, the more has been taken.
    pub(crate) fn rank(self, state: u64, now: u64) -> u64 {
        let (_, _, _, taken) = self.view(state, now);
        let settles_in = self.settles_in(state, now);
        let newest = if taken.now > 0 {
            taken.now
        } else {
            taken.before
        };
        let share = u128::from(newest) * u128::from(self.period) / u128::from(self.limit.max(1));
        match settles_in {
            0 => 0,
            _ => now.saturating_add(settles_in).saturating_add(share as u64),
        }
    }

    /// The state in which as much counts, now and later, as in both of these.
    pub(crate) fn most_taken(self, one: u64, other: u64, now: u64) -> u64 {
        let early = |state| self.view(state, now).0;
        let now = now + early(one).max(early(other));
        let (_, number, _, one) = self.view(one, now);
        let (_, _, _, other) = self.view(other, now);
        let taken = Taken {
            now: one.now.max(other.now),
            before: one.before.max(other.before),
        };
        self.pack(number, taken)
    }

    /// Units that count at `now`, even if they exceed the limit.
    pub(crate) fn counted(self, state: u64, now: u64) -> u64 {
        let (_, _, left, taken) = self.view(state, now);
        taken.now + self.weighted_before(taken, left)
    }

    /// Units of the previous window that count, rounded up.
    fn weighted_before(self, taken: Taken, left: u64) -> u64 {
        let before = u128::from(taken.before) * u128::from(left);
        before.div_ceil(u128::from(self.period.max(1))) as u64
    }

    /// The state of a window in which `units` have been taken.
    pub(crate) fn missing(self, units: u64, now: u64) -> u64 {
        let taken = Taken {
            now: units,
            before: 0,
        };
        self.pack((now + self.shift) / self.period.max(1), taken)
    }

    /// Whether windows of both begin at the same times, so that counts can be carried over.
    pub(crate) fn has_edges_of(self, old: Self) -> bool {
        self.period == old.period && self.shift == old.shift && (self.slides || !old.slides)
    }

    /// Converts a state from `old` terms to these.
    pub(crate) fn adopt(self, old: Self, state: u64, now: u64) -> u64 {
        if self.has_edges_of(old) {
            let (_, number, _, taken) = old.view(state, now);
            self.pack(number, taken)
        } else {
            // Windows begin at other times: units that count now were taken in the current window.
            self.missing(old.counted(state, now), now)
        }
    }

    /// `before * left / period + taken + cost <= limit`, without rounding.
    #[inline]
    fn fits(self, taken: Taken, cost: u64, left: u64) -> bool {
        match self.limit.checked_sub(taken.now + cost) {
            None => false,
            Some(_) if taken.before == 0 => true,
            Some(room) => {
                u128::from(taken.before) * u128::from(left)
                    <= u128::from(room) * u128::from(self.period)
            }
        }
    }

    /// Nanoseconds until the request fits, if nothing else is taken.
    fn wait(self, taken: Taken, cost: u64, left: u64) -> u64 {
        // The most that may be left of a window so that `before` leaves `room`.
        let left_for = |room: u64, before: u64| {
            let most = u128::from(room) * u128::from(self.period) / u128::from(before.max(1));
            u64::try_from(most).unwrap_or(u64::MAX).min(self.period)
        };
        match self.limit.checked_sub(taken.now + cost) {
            Some(room) => left - left_for(room, taken.before).min(left),
            None if !self.slides => left,
            // In the next window, once enough of this one has passed.
            None => left + self.period - left_for(self.limit - cost, taken.now),
        }
    }

    /// Returns how far `now` is before the window, the window's number, the time left of it, and
    /// the units taken.
    ///
    /// Threads may arrive out of order. A thread that arrives after others have begun a later
    /// window is treated as arriving at the start of that window: its own window would lose what
    /// the others have taken.
    #[inline]
    fn view(self, state: u64, now: u64) -> (u64, u64, u64, Taken) {
        let now = now + self.shift;
        let number = now / self.period.max(1);
        let bits = self.count_bits();
        let mask = (1_u64 << bits) - 1;
        let newest = state & mask;
        let before = if self.slides {
            (state >> bits) & mask
        } else {
            0
        };
        let age = number.wrapping_sub(state >> self.counts_bits()) & self.number_mask();
        let ahead = self.number_mask() - age + 1;
        let taken = |now, before| Taken { now, before };
        if age > 0 && newest > 0 && ahead <= self.number_mask() >> LATE {
            let number = number + ahead;
            let early = number * self.period - now;
            return (early, number, self.period, taken(newest, before));
        }
        let left = self.period - (now - number * self.period);
        match age {
            0 => (0, number, left, taken(newest, before)),
            1 if self.slides => (0, number, left, taken(0, newest)),
            _ => (0, number, left, Taken::default()),
        }
    }

    /// Bits of one count.
    #[inline]
    const fn count_bits(self) -> u32 {
        self.bits
    }

    /// Bits of both counts.
    #[inline]
    const fn counts_bits(self) -> u32 {
        self.count_bits() * (1 + self.slides as u32)
    }

    /// The mask of a window's number in the state.
    ///
    /// For limits up to 1,000 the number never wraps in practice (a sliding window has 2^40
    /// numbers). For the largest limit it wraps after 2^18 windows: a caller that returns after
    /// that time, or up to 64 windows less, is treated as if it had called a moment ago.
    #[inline]
    const fn number_mask(self) -> u64 {
        (1 << (STATE_BITS - self.counts_bits())) - 1
    }

    #[inline]
    fn pack(self, number: u64, taken: Taken) -> u64 {
        let bits = self.count_bits();
        let mask = (1_u64 << bits) - 1;
        let counts = if self.slides {
            (taken.before.min(mask) << bits) | taken.now.min(mask)
        } else {
            taken.now.min(mask)
        };
        ((number & self.number_mask()) << self.counts_bits()) | counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    const fn per_minute(limit: u64, slides: bool) -> Window {
        Window::new(limit, 60 * SECOND, slides, 0)
    }

    #[test]
    fn weighs_the_previous_window_as_published() {
        // 42 in the previous window, 18 in this one, a quarter of it over: 42 * 45/60 + 18 = 49.5.
        let fifty = per_minute(50, true);
        let state = fifty.charge(fifty.charge(0, 0, 42), 61 * SECOND, 18);
        let now = 75 * SECOND;
        assert_eq!(fifty.remaining(state, now), 0, "half of one is left");
        assert_eq!(fifty.decide(state, now, 1), Err(Some(714_285_715)));
        assert!(fifty.decide(state, now + 714_285_715, 1).is_ok());
        assert!(fifty.decide(state, now + 714_285_714, 1).is_err());
        assert!(
            per_minute(51, true)
                .decide(per_minute(51, true).adopt(fifty, state, now), now, 1)
                .is_ok()
        );
    }

    #[test]
    fn a_fixed_window_starts_again_at_its_end() {
        let two = per_minute(2, false);
        let state = two.charge(0, 59 * SECOND, 2);
        assert_eq!(two.decide(state, 59 * SECOND, 1), Err(Some(SECOND)));
        assert!(two.decide(state, 60 * SECOND, 2).is_ok());
        assert_eq!(two.decide(state, 60 * SECOND, 3), Err(None));
    }

    #[test]
    fn reports_how_long_a_window_has_been_unused() {
        let full_for = |window: Window, secs: u64| {
            let state = window.charge(0, 59 * SECOND, 1);
            let full_for = window.full_for(state, secs * SECOND);
            full_for.map(|nanos| nanos / SECOND)
        };
        let (fixed, sliding) = (per_minute(2, false), per_minute(2, true));
        let shifted = Window::new(2, 60 * SECOND, false, 10 * SECOND);
        assert_eq!(
            [59, 60, 100].map(|at| full_for(fixed, at)),
            [None, Some(0), Some(40)]
        );
        assert_eq!(
            [60, 119, 120, 130].map(|at| full_for(sliding, at)),
            [None, None, Some(0), Some(10)]
        );
        assert_eq!(
            [109, 110, 111].map(|at| full_for(shifted, at)),
            [None, Some(0), Some(1)]
        );
    }

    #[test]
    fn a_window_number_is_not_mistaken_for_one_much_later() {
        let thousand = per_minute(1000, true);
        let state = thousand.charge(0, 0, 1000);
        for windows in [2_u64, 1 << 18, 1 << 20, 1 << 23] {
            assert_eq!(thousand.remaining(state, windows * 60 * SECOND), 1000);
        }
    }

    #[test]
    fn settles_when_no_unit_counts_any_more() {
        let (fixed, sliding) = (per_minute(2, false), per_minute(2, true));
        let settles_in = |window: Window, secs: u64| {
            let state = window.charge(0, 59 * SECOND, 1);
            window.settles_in(state, secs * SECOND) / SECOND
        };
        assert_eq!([59, 60].map(|at| settles_in(fixed, at)), [1, 0]);
        assert_eq!(
            [59, 60, 119, 120].map(|at| settles_in(sliding, at)),
            [61, 60, 1, 0]
        );
    }

    #[test]
    fn rank_grows_with_the_units_and_with_the_time_until_they_settle() {
        let rank = |window: Window, units, secs: u64| {
            let state = window.charge(0, 30 * SECOND, units);
            window.rank(state, secs * SECOND) / SECOND
        };
        let (fixed, sliding) = (per_minute(4, false), per_minute(4, true));
        // The time at which all settles, and a period for a whole limit.
        assert_eq!([1, 2, 4].map(|n| rank(fixed, n, 30)), [75, 90, 120]);
        assert_eq!([30, 70].map(|at| rank(sliding, 2, at)), [150, 150]);
        assert_eq!([fixed, sliding].map(|window| rank(window, 4, 150)), [0, 0]);
    }

    #[test]
    fn counts_are_carried_over_between_windows_with_the_same_edges() {
        let (fixed, sliding) = (per_minute(2, false), per_minute(2, true));
        let longer = Window::new(2, 61 * SECOND, false, 0);
        let shifted = Window::new(2, 60 * SECOND, false, SECOND);
        assert!(fixed.has_edges_of(fixed) && sliding.has_edges_of(fixed));
        assert!(!fixed.has_edges_of(sliding), "the previous window is lost");
        assert!(!fixed.has_edges_of(longer) && !fixed.has_edges_of(shifted));
    }

    #[test]
    fn a_thread_that_arrives_late_waits_from_the_start_of_the_newest_window() {
        let two = per_minute(2, false);
        let state = two.charge(0, 61 * SECOND, 2);
        assert_eq!(two.decide(state, 59 * SECOND, 1), Err(Some(61 * SECOND)));
        // Units of the window before it have ended.
        let before = two.charge(0, 10 * SECOND, 4);
        assert_eq!(two.most_taken(state, before, 59 * SECOND), state);
        // A newer window that holds nothing delays no thread.
        let empty = two.grant(state, 61 * SECOND, 2);
        let decided = two.decide(0, 59 * SECOND, 1);
        assert_eq!(two.decide(empty, 59 * SECOND, 1), decided);
    }

    #[test]
    fn the_most_bits_hold_the_largest_limit() {
        for (max, slides) in [(MAX_FIXED, false), (MAX_SLIDING, true)] {
            let largest = per_minute(max.into(), slides);
            assert_eq!(per_minute(1, slides).most_bits(), largest.bits);
        }
    }
}
