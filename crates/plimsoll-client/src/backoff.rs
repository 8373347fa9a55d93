//! How long to wait before a retry: pure arithmetic, with the random number as an argument.

use std::time::Duration;

use crate::InvalidBackoff;

/// The longest wait that can be set.
const LONGEST: Duration = Duration::from_secs(3600);

/// How waits are spread, so that clients that failed together do not return together.
///
/// The first three are those of Marc Brooker, "Exponential Backoff and Jitter" (AWS, 2015).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Jitter {
    /// Between zero and the exponential wait: the widest spread, and the default.
    #[default]
    Full,
    /// Between half of the exponential wait and all of it: never zero.
    Equal,
    /// Between the base and three times the previous wait.
    Decorrelated,
    /// Between 0.8 and 1.2 times the exponential wait, as gRPC retries (gRFC A6).
    Fifth,
}

/// Waits that grow with each retry, up to a maximum, with [`Jitter`].
///
/// The exponential wait before retry `n` (from 1) is `base * factor^(n - 1)`, at most `max`. The
/// default is 100 ms, factor 2, at most 10 s, with full jitter.
///
/// ```
/// use std::time::Duration;
/// use plimsoll_client::{Backoff, Jitter};
///
/// let backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5))?
///     .jitter(Jitter::Equal);
/// // The wait before the third retry, when the random number is one half.
/// let wait = backoff.wait(3, Duration::ZERO, 0.5);
/// assert_eq!(wait, Duration::from_millis(150)); // between 100 and 200 ms
/// # Ok::<(), plimsoll_client::InvalidBackoff>(())
/// ```
#[doc(alias("exponential", "sleep", "delay"))]
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    base: Duration,
    max: Duration,
    factor: f64,
    jitter: Jitter,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            base: Duration::from_millis(100),
            max: Duration::from_secs(10),
            factor: 2.0,
            jitter: Jitter::Full,
        }
    }
}

impl Backoff {
    /// A backoff with factor 2 and full jitter.
    ///
    /// # Errors
    ///
    /// When `base` is zero or above `max`, or `max` is above one hour.
    pub fn new(base: Duration, max: Duration) -> Result<Self, InvalidBackoff> {
        if base.is_zero() || base > max {
            return Err(InvalidBackoff::Base { base, max });
        }
        if max > LONGEST {
            return Err(InvalidBackoff::Max(max));
        }
        Ok(Self {
            base,
            max,
            ..Self::default()
        })
    }

    /// Sets the jitter. [`Jitter::Full`] by default.
    #[must_use]
    pub fn jitter(mut self, jitter: Jitter) -> Self {
        self.jitter = jitter;
        self
    }

    /// Sets the growth from retry to retry. 2 by default.
    ///
    /// # Errors
    ///
    /// When it is not in 1 to 10.
    pub fn factor(mut self, factor: f64) -> Result<Self, InvalidBackoff> {
        if !(1.0..=10.0).contains(&factor) {
            return Err(InvalidBackoff::Factor(factor));
        }
        self.factor = factor;
        Ok(self)
    }

    /// Returns the longest wait before retry `retry` (from 1) without jitter.
    pub fn exponential(&self, retry: u32) -> Duration {
        // 2^64 base waits are beyond any maximum, and the power stays finite.
        let power = self.factor.powi(retry.saturating_sub(1).min(64) as i32);
        scaled(self.base, power).min(self.max)
    }

    /// Returns the wait before retry `retry` (from 1), for a random number in `[0, 1)`.
    ///
    /// `previous` is the last wait of the same call, zero before the first retry. Only
    /// [`Jitter::Decorrelated`] uses it. A `random` outside of `[0, 1]` counts as the nearer bound.
    pub fn wait(&self, retry: u32, previous: Duration, random: f64) -> Duration {
        let random = if random > 0.0 { random.min(1.0) } else { 0.0 };
        let longest = self.exponential(retry);
        match self.jitter {
            Jitter::Full => scaled(longest, random),
            Jitter::Equal => scaled(longest, 0.5 + random / 2.0),
            Jitter::Fifth => scaled(longest, 0.8 + 0.4 * random),
            Jitter::Decorrelated => {
                let most = previous.max(self.base).saturating_mul(3).min(self.max);
                self.base + scaled(most.saturating_sub(self.base), random)
            }
        }
    }
}

/// `wait * by`, at most [`Duration::MAX`].
pub(crate) fn scaled(wait: Duration, by: f64) -> Duration {
    Duration::try_from_secs_f64(wait.as_secs_f64() * by).unwrap_or(Duration::MAX)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn the_bases_of_grfc_a6_are_doubled_up_to_the_maximum() {
        let backoff = Backoff::new(MS(100), MS(1000)).unwrap();
        let bases: Vec<_> = (1..=5).map(|n| backoff.exponential(n)).collect();
        assert_eq!(bases, [MS(100), MS(200), MS(400), MS(800), MS(1000)]);
        let a6 = backoff.jitter(Jitter::Fifth);
        assert_eq!(a6.wait(3, Duration::ZERO, 0.0), MS(320));
        assert_eq!(a6.wait(3, Duration::ZERO, 1.0), MS(480));
    }

    #[test]
    fn decorrelated_waits_grow_from_the_previous_wait() {
        let backoff = Backoff::new(MS(100), MS(2000)).unwrap();
        let backoff = backoff.jitter(Jitter::Decorrelated);
        assert_eq!(backoff.wait(1, Duration::ZERO, 1.0), MS(300));
        assert_eq!(backoff.wait(2, MS(300), 1.0), MS(900));
        assert_eq!(backoff.wait(3, MS(900), 1.0), MS(2000));
        assert_eq!(backoff.wait(9, MS(900), 0.0), MS(100));
    }

    #[test]
    fn settings_out_of_bounds_are_errors() {
        assert!(Backoff::new(Duration::ZERO, MS(1)).is_err());
        assert!(Backoff::new(MS(2), MS(1)).is_err());
        assert!(Backoff::new(MS(2), Duration::from_secs(3601)).is_err());
        for factor in [0.99, 10.1, f64::NAN, f64::INFINITY, -1.0] {
            assert!(Backoff::default().factor(factor).is_err(), "{factor}");
        }
    }

    proptest! {
        #[test]
        fn waits_stay_in_the_bounds_of_their_jitter(
            retry in any::<u32>(),
            previous in 0..100_000_u64,
            random in prop_oneof![0.0..=1.0, any::<f64>()],
            factor in 1.0..=10.0,
        ) {
            let (base, max) = (MS(100), MS(10_000));
            let plain = Backoff::new(base, max).unwrap().factor(factor).unwrap();
            let longest = plain.exponential(retry);
            prop_assert!(longest >= base && longest <= max);
            let wait = |jitter| plain.jitter(jitter).wait(retry, MS(previous), random);
            // Floating point may be off by some nanoseconds.
            let near = Duration::from_nanos(100);
            prop_assert!(wait(Jitter::Full) <= longest + near);
            prop_assert!(wait(Jitter::Equal) + near >= longest / 2);
            prop_assert!(wait(Jitter::Equal) <= longest + near);
            prop_assert!(wait(Jitter::Fifth) + near >= longest * 4 / 5);
            prop_assert!(wait(Jitter::Fifth) <= longest * 6 / 5 + near);
            let most = MS(previous).max(base).saturating_mul(3).min(max);
            prop_assert!(wait(Jitter::Decorrelated) >= base);
            prop_assert!(wait(Jitter::Decorrelated) <= most + near);
        }
    }
}
