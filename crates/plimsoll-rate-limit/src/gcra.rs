//! The generic cell rate algorithm (ITU-T I.371, virtual scheduling): state and `now` in, decision
//! out.
//!
//! All times are nanoseconds since one epoch. The whole state of a bucket is its *theoretical
//! arrival time* (`tat`): the time at which it will be full again. A conforming request moves it
//! forward by one increment per token. A request that would move it further ahead of `now` than the
//! capacity does not conform. So no timer is needed for the refill.

use crate::{refunds::PARTS, share::Share, word::MAX_REFILL};

/// A token bucket's quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gcra {
    /// T: the refill time of one token, in nanoseconds. Never 0.
    pub(crate) increment: u64,
    /// τ + T: the refill time of an empty bucket, `burst * increment`.
    pub(crate) capacity: u64,
}

impl Gcra {
    /// Returns the next arrival time, or the wait until the same request conforms: `None` for
    /// never.
    #[inline]
    pub(crate) fn decide(self, tat: u64, now: u64, cost: u32) -> Result<u64, Option<u64>> {
        let span = self.span(cost);
        let next = tat.max(now).saturating_add(span);
        let ahead = next - now;
        // Performance: a cost known to the compiler decides the second test, a span does not
        // (`instructions`, `rate-limit@accept`). Both are equivalent, since the increment is never
        // 0.
        if ahead <= self.capacity || cost == 0 {
            Ok(next)
        } else if span > self.capacity {
            Err(None)
        } else {
            Err(Some(ahead - self.capacity))
        }
    }

    /// The arrival time that a request of this cost sees in a bucket with a share of its burst.
    ///
    /// The rest of the burst counts as missing. The share is at least the request's cost: a request
    /// that fits the whole burst is admitted by a cold bucket once that has been refilled.
    pub(crate) fn cold(self, tat: u64, share: Share, now: u64, cost: u32) -> u64 {
        let holds = share.of(self.capacity).max(self.span(cost));
        tat.max(now + self.capacity.saturating_sub(holds))
    }

    /// The arrival time after an unconditional cost. The bucket may then owe tokens, for up to
    /// [`MAX_REFILL`].
    pub(crate) fn charge(self, tat: u64, now: u64, cost: u32) -> u64 {
        let next = tat.max(now).saturating_add(self.span(cost));
        next.min(now + MAX_REFILL)
    }

    /// The refill time of `cost` tokens.
    #[inline]
    pub(crate) fn span(self, cost: u32) -> u64 {
        self.increment.saturating_mul(cost.into())
    }

    /// Tokens in the bucket.
    pub(crate) fn remaining(self, tat: u64, now: u64) -> u64 {
        self.capacity.saturating_sub(tat.saturating_sub(now)) / self.increment.max(1)
    }

    /// Converts the arrival time of a bucket from `old` terms to these. The number of missing
    /// tokens stays the same, even if it exceeds the new burst.
    pub(crate) fn adopt(self, old: Self, tat: u64, now: u64) -> u64 {
        let missing = u128::from(tat.saturating_sub(now)) * u128::from(self.increment);
        let backlog = missing.div_ceil(u128::from(old.increment.max(1)));
        now + u64::try_from(backlog).map_or(MAX_REFILL, |backlog| backlog.min(MAX_REFILL))
    }

    /// The arrival time of a bucket that lacks `tokens`.
    pub(crate) fn missing(self, tokens: u64, now: u64) -> u64 {
        now + self.increment.saturating_mul(tokens).min(MAX_REFILL)
    }

    /// How far refunded tokens move the arrival time back. `tat` is the arrival time after they
    /// were taken.
    ///
    /// The tokens occupy a stretch of the schedule, one span long. It ends at `tat`, or earlier by
    /// `moved` if tokens taken before them were refunded since. The part after `now` is refunded;
    /// the part before `now` has been refilled by the clock. Example with a burst of 10: take one
    /// token, let the bucket fill up, take ten, refund the first. Its stretch lies in the past, so
    /// an eleventh token is not available.
    ///
    /// The stretch never begins before the tokens were taken, even if `moved` is an overestimate.
    /// So tokens that are refunded at once are refunded in full.
    ///
    /// # Compared with a bucket that never saw the tokens
    ///
    /// This bucket never has more tokens. It lacks at most the tokens that are refilled within the
    /// longest wait, for all waiters together: tokens that others took after `admitted` could have
    /// been taken from time that has passed.
    pub(crate) fn refundable(self, tat: u64, unused: Unused) -> u64 {
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

    /// `unused` for a rate that refilled one token in `fastest` at times, so that more has been
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

/// Tokens to be refunded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unused {
    pub(crate) cost: u32,
    /// When they were taken, or an earlier time.
    pub(crate) admitted: u64,
    pub(crate) now: u64,
    /// How far they have moved up since they were taken, in parts of a token.
    pub(crate) moved: u64,
}

impl Unused {
    /// Tokens that are refunded when they are taken, in full.
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

    /// T = 100 ms, τ = 300 ms: burst 4.
    const FOUR: Gcra = Gcra {
        increment: 100 * MS,
        capacity: 400 * MS,
    };

    /// The published vector: (time, tokens left after the request, or wait).
    #[test]
    fn conforms_to_the_published_test_vector() {
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
            let got = FOUR.decide(tat, now, 1).map(|next| {
                tat = next;
                FOUR.remaining(tat, now)
            });
            assert_eq!(got, expected.map_err(|wait| Some(wait * MS)), "at {at} ms");
        }
    }

    #[test]
    fn a_request_takes_as_many_tokens_as_it_costs() {
        assert_eq!(FOUR.decide(0, 0, 4), Ok(400 * MS));
        assert_eq!(FOUR.decide(100 * MS, 0, 4), Err(Some(100 * MS)));
        assert_eq!(FOUR.decide(0, 0, 5), Err(None), "never");
        assert_eq!(FOUR.decide(400 * MS, 0, 0), Ok(400 * MS), "a cost of 0");
    }

    #[test]
    fn a_charge_may_leave_a_debt() {
        let tat = FOUR.charge(0, 0, 10);
        assert_eq!(FOUR.remaining(tat, 0), 0);
        assert_eq!(FOUR.decide(tat, 0, 1), Err(Some(700 * MS)));
        assert_eq!(
            FOUR.charge(0, 0, u32::MAX),
            MAX_REFILL.min(FOUR.span(u32::MAX))
        );
    }

    #[test]
    fn a_faster_rate_has_refilled_more_while_a_token_was_held() {
        let held = Unused {
            cost: 1,
            admitted: 1_000 * MS,
            now: 1_100 * MS,
            moved: 0,
        };
        // One token in 100 ms refills as two in 50 ms.
        assert_eq!(FOUR.refilled_faster(50 * MS, held).now, 1_200 * MS);
        assert_eq!(FOUR.refilled_faster(100 * MS, held).now, 1_100 * MS);
        assert_eq!(FOUR.refilled_faster(200 * MS, held).now, 1_100 * MS);
    }
}
