//! The generic cell rate algorithm (ITU-T I.371, virtual scheduling): state and `now` in, verdict out.
//!
//! All times are nanoseconds since one epoch. The whole state of a bucket is its *theoretical arrival time*: the
//! moment at which it will be full again. A request that conforms moves it on by an increment for each token; one that
//! would move it further ahead of `now` than the bucket holds does not conform. So no timer is needed to refill it.

use crate::{refunds::PARTS, share::Share, word::MAX_REFILL};

/// A token bucket's quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gcra {
    /// T: the time in which one token is refilled. Never 0.
    pub(crate) increment: u64,
    /// τ + T: the time in which an empty bucket is refilled, `burst * increment`.
    pub(crate) capacity: u64,
}

impl Gcra {
    /// The next arrival time, or how long until the same request would conform: `None` when it never will.
    #[inline]
    pub(crate) fn ask(self, tat: u64, now: u64, cost: u32) -> Result<u64, Option<u64>> {
        let span = self.span(cost);
        let next = tat.max(now).saturating_add(span);
        let ahead = next - now;
        // Performance: a cost known to the compiler decides the second test, which a span does not
        // (`instructions`, `rate-limit@accept`). The increment is never 0, so both say the same.
        if ahead <= self.capacity || cost == 0 {
            Ok(next)
        } else if span > self.capacity {
            Err(None)
        } else {
            Err(Some(ahead - self.capacity))
        }
    }

    /// The arrival time of a bucket that holds only a share of its burst, for a request of this
    /// cost.
    ///
    /// The rest of the burst counts as missing. The share is at least the request's cost: a request
    /// that fits the whole burst is admitted by a cold bucket once that has been refilled.
    pub(crate) fn cold(self, tat: u64, share: Share, now: u64, cost: u32) -> u64 {
        let holds = share.of(self.capacity).max(self.span(cost));
        tat.max(now + self.capacity.saturating_sub(holds))
    }

    /// The arrival time after a cost that nobody asks about any more. The bucket may owe tokens then, for up to
    /// [`MAX_REFILL`].
    pub(crate) fn charge(self, tat: u64, now: u64, cost: u32) -> u64 {
        let next = tat.max(now).saturating_add(self.span(cost));
        next.min(now + MAX_REFILL)
    }

    /// The time in which so many tokens are refilled.
    #[inline]
    pub(crate) fn span(self, cost: u32) -> u64 {
        self.increment.saturating_mul(cost.into())
    }

    /// Tokens in the bucket.
    pub(crate) fn remaining(self, tat: u64, now: u64) -> u64 {
        self.capacity.saturating_sub(tat.saturating_sub(now)) / self.increment.max(1)
    }

    /// The arrival time under these terms of a bucket that was kept under `old` ones: the same number of tokens is
    /// missing from it, even if that is more than it holds.
    pub(crate) fn adopt(self, old: Self, tat: u64, now: u64) -> u64 {
        let missing = u128::from(tat.saturating_sub(now)) * u128::from(self.increment);
        let backlog = missing.div_ceil(u128::from(old.increment.max(1)));
        now + u64::try_from(backlog).map_or(MAX_REFILL, |backlog| backlog.min(MAX_REFILL))
    }

    /// The arrival time of a bucket from which so many tokens are missing.
    pub(crate) fn missing(self, tokens: u64, now: u64) -> u64 {
        now + self.increment.saturating_mul(tokens).min(MAX_REFILL)
    }

    /// How far tokens that are given back unused move the arrival time back. `tat` is the arrival
    /// time after they were taken.
    ///
    /// The tokens have a stretch of the schedule, one span long, that ends at `tat`, or earlier by as much as they were
    /// `moved` up by others that were taken before them and given back since. What lies ahead of `now` is given back; the clock
    /// has refilled the rest. With a burst of 10, take one, let the bucket fill up, take ten, give back the first: it
    /// lies in the past, and an eleventh is not had.
    ///
    /// That the stretch begins no earlier than the moment at which the tokens were taken is true even where `moved` is too
    /// much: tokens given back at once come back whole.
    ///
    /// # Compared with a bucket that never saw them
    ///
    /// Never less is missing, and never more than by what is refilled within the longest wait, for all waiters together:
    /// what others took after `admitted` might have been had in time that has gone by.
    pub(crate) fn returned(self, tat: u64, unused: Unused) -> u64 {
        let Unused {
            cost,
            admitted,
            now,
            moved,
        } = unused;
        let span = self.span(cost);
        let held = now.saturating_sub(admitted);
        let moved = u128::from(self.increment) * u128::from(moved);
        let moved = u64::try_from(moved.div_ceil(PARTS.into())).unwrap_or(u64::MAX);
        let ahead = tat.saturating_sub(moved).saturating_sub(now);
        span.min(ahead.max(span.saturating_sub(held)))
    }

    /// `unused` as seen at a rate that refills one token in `fastest`, at which more of it was
    /// refilled.
    pub(crate) fn refilled_faster(self, fastest: u64, unused: Unused) -> Unused {
        let held = u128::from(unused.now.saturating_sub(unused.admitted));
        let longer = (held * u128::from(self.increment)).div_ceil(fastest.max(1).into());
        let held = u64::try_from(longer.max(held)).unwrap_or(u64::MAX);
        Unused {
            now: unused.admitted.saturating_add(held),
            ..unused
        }
    }

    /// The refill time, at this rate, of the tokens that refill in `time` at the `old` rate.
    /// Rounded down.
    pub(crate) fn worth(self, old: Self, time: u64) -> u64 {
        let worth =
            u128::from(time) * u128::from(self.increment) / u128::from(old.increment.max(1));
        u64::try_from(worth).unwrap_or(u64::MAX)
    }

    /// Time as parts of a token, rounded up.
    pub(crate) fn parts(self, time: u64) -> u64 {
        let parts = u128::from(time) * u128::from(PARTS);
        u64::try_from(parts.div_ceil(self.increment.max(1).into())).unwrap_or(u64::MAX)
    }
}

/// What is known of tokens that are to be given back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unused {
    pub(crate) cost: u32,
    /// When they were taken, or earlier.
    pub(crate) admitted: u64,
    pub(crate) now: u64,
    /// How far they have moved up since they were taken, in parts of a token.
    pub(crate) moved: u64,
}

impl Unused {
    /// Tokens that are given back in the moment in which they were taken: they come back whole.
    pub(crate) const fn at_once(cost: u32, now: u64) -> Self {
        Self {
            cost,
            admitted: now,
            now,
            moved: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// T = 100 ms, τ = 300 ms: a burst of four.
    const FOUR: Gcra = Gcra {
        increment: 100 * MS,
        capacity: 400 * MS,
    };

    /// The published vector: (moment, what is left after it, or how long to wait).
    #[test]
    fn follows_the_published_vector() {
        let steps: [(u64, Result<u64, u64>); 16] = [
            (0, Ok(3)),
            (0, Ok(2)),
            (0, Ok(1)),
            (0, Ok(0)),
            (0, Err(100)),
            (50, Err(50)),
            (100, Ok(0)),
            (100, Err(100)),
            (150, Err(50)),
            (200, Ok(0)),
            (1000, Ok(3)),
            (1000, Ok(2)),
            (1000, Ok(1)),
            (1000, Ok(0)),
            (1000, Err(100)),
            (1050, Err(50)),
        ];
        let mut tat = 0;
        for (at, expected) in steps {
            let now = at * MS;
            let got = FOUR.ask(tat, now, 1).map(|next| {
                tat = next;
                FOUR.remaining(tat, now)
            });
            assert_eq!(got, expected.map_err(|wait| Some(wait * MS)), "at {at} ms");
        }
    }

    #[test]
    fn a_cost_is_that_many_tokens() {
        assert_eq!(FOUR.ask(0, 0, 4), Ok(400 * MS));
        assert_eq!(FOUR.ask(100 * MS, 0, 4), Err(Some(100 * MS)));
        assert_eq!(FOUR.ask(0, 0, 5), Err(None), "never");
        assert_eq!(FOUR.ask(400 * MS, 0, 0), Ok(400 * MS), "nothing is free");
    }

    #[test]
    fn a_charge_may_leave_a_debt() {
        let tat = FOUR.charge(0, 0, 10);
        assert_eq!(FOUR.remaining(tat, 0), 0);
        assert_eq!(FOUR.ask(tat, 0, 1), Err(Some(700 * MS)));
        assert_eq!(
            FOUR.charge(0, 0, u32::MAX),
            MAX_REFILL.min(FOUR.span(u32::MAX))
        );
    }
}
