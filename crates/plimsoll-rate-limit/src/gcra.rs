//! The generic cell rate algorithm (ITU-T I.371, virtual scheduling): state and `now` in, verdict out.
//!
//! All times are nanoseconds since one epoch. The whole state of a bucket is its *theoretical arrival time*: the
//! moment at which it will be full again. A request that conforms moves it one increment on; one for which it is
//! further ahead than the tolerance does not conform. So a token bucket needs no timer to refill it.

/// A quota, as the algorithm reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Terms {
    /// T: the time in which one token is refilled. Never 0.
    pub(crate) increment: u64,
    /// τ: how far ahead of `now` the arrival time may be, `(burst - 1) * increment`.
    pub(crate) tolerance: u64,
}

/// What is known of a token when it is to be given back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Return {
    /// When the token was taken.
    pub(crate) taken_at: u64,
    /// The arrival time that taking it led to.
    pub(crate) tat: u64,
    /// The latest moment at which any token was taken.
    pub(crate) latest: u64,
    /// How much was given back since, for other tokens.
    pub(crate) returned_since: u64,
}

impl Terms {
    /// The next arrival time, or how long until the same request would conform.
    #[inline]
    pub(crate) fn ask(self, tat: u64, now: u64) -> Result<u64, u64> {
        let conforms_at = tat.saturating_sub(self.tolerance);
        if now < conforms_at {
            return Err(conforms_at - now);
        }
        Ok(tat.max(now).saturating_add(self.increment))
    }

    /// Tokens in the bucket.
    pub(crate) fn remaining(self, tat: u64, now: u64) -> u64 {
        let capacity = self.tolerance.saturating_add(self.increment);
        capacity.saturating_sub(tat.saturating_sub(now)) / self.increment.max(1)
    }

    /// The arrival time under these terms of a bucket that was kept under `old` ones: the same number of tokens is
    /// missing from it, but no more than it holds.
    pub(crate) fn adopt(self, old: Self, tat: u64, now: u64) -> u64 {
        let missing = u128::from(tat.saturating_sub(now)) * u128::from(self.increment);
        let backlog = missing.div_ceil(u128::from(old.increment.max(1)));
        let capacity = self.tolerance.saturating_add(self.increment);
        now.saturating_add(u64::try_from(backlog).unwrap_or(u64::MAX).min(capacity))
    }
}

impl Return {
    /// How far the arrival time may be put back for this token.
    ///
    /// Putting it back by the whole increment is too much once the clock has refilled the token: with a burst of 10,
    /// take one, let the bucket fill up, take ten, give back the first, and an eleventh would be had at the same
    /// moment. The exact answer, as if the token had never been taken, would need a log of everything taken since.
    /// Two bounds on it need no log, and the larger one is given back:
    ///
    /// * The token is refilled between `tat - T` and `tat`. What the clock had not refilled when the latest token
    ///   was taken can be given back. Tokens returned by others may have moved that stretch forward, by at most
    ///   what they returned.
    /// * Whatever else happened, time has refilled no more than the time from this token to the latest.
    ///
    /// Both are the whole increment when nothing was taken at a later moment.
    ///
    /// Why they are safe: without the token, the arrival time would be the larger of `current - T`, and of
    /// `t_k + (tokens taken from k on, and not given back) * T` for each token k taken later. No `t_k` is after the latest,
    /// and each of those tokens has moved the arrival time on by at least T since this one.
    pub(crate) fn amount(self, increment: u64) -> u64 {
        let unfilled = self
            .tat
            .saturating_sub(self.latest)
            .saturating_sub(self.returned_since);
        let elapsed = self.latest.saturating_sub(self.taken_at);
        unfilled
            .max(increment.saturating_sub(elapsed))
            .min(increment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// T = 100 ms, τ = 300 ms: a burst of four.
    const FOUR: Terms = Terms {
        increment: 100 * MS,
        tolerance: 300 * MS,
    };

    #[test]
    fn published_vector() {
        let mut tat = 0;
        let mut check = |at: u64, expected: Result<u64, u64>| {
            let said = FOUR.ask(tat, at * MS).map(|next| {
                tat = next;
                FOUR.remaining(tat, at * MS)
            });
            assert_eq!(said, expected.map_err(|wait| wait * MS), "at {at} ms");
        };
        for left in [3, 2, 1, 0] {
            check(0, Ok(left));
        }
        check(0, Err(100));
        check(50, Err(50));
        check(100, Ok(0));
        check(100, Err(100));
        check(150, Err(50));
        check(200, Ok(0));
        for left in [3, 2, 1, 0] {
            check(1000, Ok(left));
        }
        check(1000, Err(100));
    }

    /// The most that a greedy client gets into any true window of one second, at 100 a second.
    fn worst_window(burst: u64) -> usize {
        let terms = Terms {
            increment: 10 * MS,
            tolerance: (burst - 1) * 10 * MS,
        };
        let (mut tat, mut taken) = (0, Vec::new());
        for now in (0..3000).map(|step| step * MS) {
            while let Ok(next) = terms.ask(tat, now) {
                tat = next;
                taken.push(now);
            }
        }
        let within = |start: u64| {
            taken
                .iter()
                .filter(|at| (start..start + 1000 * MS).contains(at))
                .count()
        };
        taken.iter().map(|start| within(*start)).max().unwrap_or(0)
    }

    #[test]
    fn worst_true_window_is_the_burst_and_what_is_refilled() {
        assert_eq!(worst_window(10), 109);
        assert_eq!(worst_window(100), 199);
        assert_eq!(worst_window(1), 100);
    }

    #[test]
    fn adopting_keeps_the_number_of_tokens_spent() {
        let slow = Terms {
            increment: 1000 * MS,
            tolerance: 9000 * MS,
        };
        // Six of ten are spent; six of four cannot be.
        assert_eq!(FOUR.remaining(FOUR.adopt(slow, 6000 * MS, 0), 0), 0);
        // Three of four are spent; so are three of ten.
        assert_eq!(slow.remaining(slow.adopt(FOUR, 300 * MS, 0), 0), 7);
        assert_eq!(
            slow.remaining(slow.adopt(FOUR, 300 * MS, 500 * MS), 500 * MS),
            10
        );
    }

    #[test]
    fn extremes_do_not_overflow() {
        let most = Terms {
            increment: u64::MAX,
            tolerance: u64::MAX,
        };
        assert_eq!(most.ask(u64::MAX, 0), Ok(u64::MAX));
        assert_eq!(most.remaining(u64::MAX, 0), 0);
        assert_eq!(most.adopt(FOUR, u64::MAX, 0), u64::MAX);
        let none = Terms {
            increment: 0,
            tolerance: 0,
        };
        assert_eq!(none.remaining(0, 0), 0);
        assert_eq!(FOUR.adopt(none, 1, 0), 100 * MS);
    }
}
