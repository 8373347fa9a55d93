//! Settings and their bounds.

use std::time::Duration;

use crate::{
    InvalidCircuitBreaker,
    error::{MAX_PROBES, MAX_WINDOW},
};

/// Default of `cancelled_call`: a call that is cancelled after this long without an answer counts
/// as a failure.
///
/// One second is the default time limit of Hystrix and of resilience4j's `TimeLimiter`, the
/// shortest one among breakers; limits that users set outside of a breaker are seldom shorter.
/// Answers are not compared with it: many healthy services take longer. A longer value fails
/// `timeouts_outside_of_a_second_or_more_open_a_breaker_with_default_settings`.
const CANCELLED_CALL: Duration = Duration::from_secs(1);

/// Default of `jitter`, a share: an opening takes `open_for` to 1.2 times that.
///
/// gRPC's backoff has 0.2, too. Of 100 breakers that opened at one instant for 5 s, about ten then
/// probe in the busiest 100 ms instead of all. Less fails
/// `first_probes_of_a_fleet_are_spread_over_a_fifth_of_open_for`; more delays the recovery.
const JITTER: f64 = 0.2;

/// Checked settings, common to the breakers of all keys.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Settings {
    pub(crate) window: u32,
    pub(crate) threshold: f64,
    pub(crate) min_calls: u32,
    pub(crate) open_for: Duration,
    /// The largest random share by which an opening is longer.
    pub(crate) jitter: f64,
    /// The factor by which openings in a row grow, and the longest opening.
    pub(crate) backoff: Option<(f64, Duration)>,
    pub(crate) probes_at_a_time: u32,
    pub(crate) successes: u32,
    pub(crate) probe_timeout: Duration,
    pub(crate) slow_call: Option<Duration>,
    pub(crate) cancelled_call: Option<Duration>,
    pub(crate) count_overloaded: bool,
    /// How many times the settings were changed in use.
    pub(crate) changes: u32,
}

impl Settings {
    /// [`CircuitBreakerBuilder`](crate::CircuitBreakerBuilder) has the reasons.
    pub(crate) const DEFAULT: Self = Self {
        window: 100,
        threshold: 0.5,
        min_calls: 20,
        open_for: Duration::from_secs(5),
        jitter: JITTER,
        backoff: None,
        probes_at_a_time: 3,
        successes: 3,
        probe_timeout: Duration::from_secs(5),
        slow_call: None,
        cancelled_call: Some(CANCELLED_CALL),
        count_overloaded: true,
        changes: 0,
    };

    pub(crate) fn check(self) -> Result<Self, InvalidCircuitBreaker> {
        if !(1..=MAX_WINDOW).contains(&self.window) {
            return Err(InvalidCircuitBreaker::Window(self.window));
        }
        // Written so that NaN fails.
        if !(self.threshold > 0.0 && self.threshold <= 1.0) {
            return Err(InvalidCircuitBreaker::FailureRate(self.threshold));
        }
        if !(1..=self.window).contains(&self.min_calls) {
            let Self {
                min_calls, window, ..
            } = self;
            return Err(InvalidCircuitBreaker::MinCalls { min_calls, window });
        }
        if !(1..=MAX_PROBES).contains(&self.probes_at_a_time) {
            return Err(InvalidCircuitBreaker::Probes(self.probes_at_a_time));
        }
        if self.successes == 0 {
            return Err(InvalidCircuitBreaker::Successes);
        }
        for (name, duration) in [
            ("open_for", Some(self.open_for)),
            ("probe_timeout", Some(self.probe_timeout)),
            ("slow_call", self.slow_call),
            ("cancelled_call", self.cancelled_call),
        ] {
            if duration.is_some_and(|duration| duration.is_zero()) {
                return Err(InvalidCircuitBreaker::ZeroDuration(name));
            }
        }
        if !(0.0..=1.0).contains(&self.jitter) {
            return Err(InvalidCircuitBreaker::Jitter(self.jitter));
        }
        if let Some((factor, max)) = self.backoff {
            if !(factor.is_finite() && factor >= 1.0) {
                return Err(InvalidCircuitBreaker::BackoffFactor(factor));
            }
            if max < self.open_for {
                return Err(InvalidCircuitBreaker::BackoffMax);
            }
        }
        Ok(self)
    }

    /// The fewest failures that can open the breaker: a cheap first check.
    pub(crate) fn fewest_failures(&self) -> u32 {
        // Compared as a quotient, as in the exact check, so that 3 of 30 reach a rate of 0.1.
        let reached = |failures: u32| trips(failures, self.min_calls, self.threshold);
        let about = (self.threshold * f64::from(self.min_calls)) as u32;
        let near = about.saturating_sub(1)..=about.saturating_add(1);
        near.into_iter()
            .find(|failures| reached(*failures))
            .unwrap_or(1)
    }

    /// The time after which a call cancelled without an answer counts as a failure.
    pub(crate) fn cancelled_as_failed(&self) -> Option<Duration> {
        match (self.slow_call, self.cancelled_call) {
            (Some(slow), Some(cancelled)) => Some(slow.min(cancelled)),
            (slow, cancelled) => slow.or(cancelled),
        }
    }

    /// The length of the opening after one of length `last` (0: after a closed state), in
    /// nanoseconds.
    pub(crate) fn next_opening(&self, last: u64) -> u64 {
        let first = nanos(self.open_for);
        match self.backoff {
            Some((factor, max)) => {
                ((last as f64 * factor) as u64).clamp(first, nanos(max).max(first))
            }
            None => first,
        }
    }
}

/// `length`, longer by up to `jitter` of itself. `dice` is uniform in `0.0..1.0`.
pub(crate) fn jittered(length: u64, jitter: f64, dice: f64) -> u64 {
    length.saturating_add((length as f64 * jitter * dice) as u64)
}

/// Whether this many failures among this many calls reach the rate.
#[inline]
pub(crate) fn trips(failures: u32, calls: u32, rate: f64) -> bool {
    // The quotient is the double nearest to the true ratio, and so is the rate's literal: rounding
    // does not decide.
    f64::from(failures) / f64::from(calls) >= rate
}

/// The duration in nanoseconds, saturating at 584 years.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn fewest_failures_is_the_first_count_that_reaches_the_rate(
            failure_rate in 0.000_001_f64..=1.0,
            min_calls in 1_u32..=MAX_WINDOW,
        ) {
            let settings = Settings { threshold: failure_rate, min_calls, window: MAX_WINDOW, ..Settings::DEFAULT };
            let fewest = settings.fewest_failures();
            prop_assert!(trips(fewest, min_calls, failure_rate));
            prop_assert!(fewest == 0 || !trips(fewest - 1, min_calls, failure_rate));
        }
    }

    #[test]
    fn decimal_rates_are_reached_exactly() {
        for (failures, calls, rate) in [(3, 30, 0.1), (30, 100, 0.3), (7, 10, 0.7), (29, 100, 0.29)]
        {
            assert!(
                trips(failures, calls, rate),
                "{failures} of {calls} reach {rate}"
            );
            assert!(!trips(failures - 1, calls, rate));
        }
    }

    #[test]
    fn jitter_never_shortens() {
        assert_eq!(jittered(1_000, 0.0, 0.999), 1_000);
        assert_eq!(jittered(1_000, 0.2, 0.0), 1_000);
        assert_eq!(jittered(1_000, 0.2, 0.5), 1_100);
        assert_eq!(jittered(u64::MAX, 1.0, 0.5), u64::MAX);
    }

    #[test]
    fn openings_in_a_row_grow_to_the_cap() {
        let ms = Duration::from_millis;
        let settings = Settings {
            open_for: ms(100),
            backoff: Some((2.0, ms(500))),
            ..Settings::DEFAULT
        };
        let mut last = 0;
        let lengths: Vec<u64> = (0..5)
            .map(|_| {
                last = settings.next_opening(last);
                last / 1_000_000
            })
            .collect();
        assert_eq!(lengths, [100, 200, 400, 500, 500]);
        assert_eq!(settings.next_opening(u64::MAX) / 1_000_000, 500);
    }
}
