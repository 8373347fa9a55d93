//! Settings and their bounds.

use std::time::Duration;

use crate::{
    InvalidCircuitBreaker,
    error::{MAX_PROBES, MAX_WINDOW},
    window::Window,
};

/// Default of `cancelled_call`: a call that is cancelled after this long without an answer counts
/// as a failure.
///
/// One second is the default time limit of Hystrix and of resilience4j's `TimeLimiter`, the
/// shortest one among breakers; limits that users set outside of a breaker are seldom shorter.
/// Answers are not compared with it: many healthy services take longer. A longer value fails
/// `timeouts_outside_of_a_second_or_more_open_a_breaker_with_default_settings`.
const CANCELLED_CALL: Duration = Duration::from_secs(1);

/// Default of `jitter`, a share: an opening takes `open_for` to 1.5 times that.
///
/// Of 100 breakers that opened at one instant for 5 s, four then probe in an interval of 100 ms on
/// average; for 500 ms, 40. gRPC's backoff has 0.2, with which all of the latter probe within 100
/// ms. Less fails `first_probes_of_a_fleet_are_spread_over_half_of_open_for`; more delays the
/// recovery.
const JITTER: f64 = 0.5;

/// Default of `backoff`: the factor by which openings in a row grow, and the longest of them as a
/// multiple of `open_for`.
///
/// 5, 10, 20, 40 s: four probes in the first 75 s of an outage, then one each 40 s or more. A larger
/// multiple delays the recovery after a long outage by as much.
/// `openings_in_a_row_grow_by_default` fails when they differ.
const BACKOFF: (f64, u32) = (2.0, 8);

/// Default of `max_age`: outcomes older than 15 minutes do not count.
///
/// A client that makes one call after the other, each of which times out after 30 s, reaches the
/// default `min_calls` in ten minutes; less fails
/// `timeouts_outside_of_a_second_or_more_open_a_breaker_with_default_settings`. More lets an outage
/// open the breaker that ended long ago: `failures_of_a_week_ago_do_not_open`.
const MAX_AGE: Duration = Duration::from_secs(15 * 60);

/// Default of `max_retry_after`: the longest wait of an answer that is honoured.
///
/// One minute is above the usual waits of overloaded services, and bounds what a wrong or hostile
/// answer can cause. `a_wait_of_the_callee_is_honoured_up_to_the_ceiling` fails when it differs.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);

/// Default of `ramp`: after the probes, the full load is admitted within the first `open_for`.
///
/// Caches and connection pools of most services are warm after seconds. A shorter value fails
/// `a_ramp_keeps_a_cold_callee_at_work`.
const RAMP: Duration = Duration::from_secs(5);

/// Checked settings, common to the breakers of all keys.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Settings {
    pub(crate) window: Window,
    /// The longest age of outcomes, in a window without a time of its own.
    pub(crate) max_age: Duration,
    pub(crate) threshold: f64,
    pub(crate) slow_rate: f64,
    pub(crate) min_calls: u32,
    pub(crate) open_for: Duration,
    /// The largest random share by which an opening is longer.
    pub(crate) jitter: f64,
    /// The factor by which openings in a row grow, and the longest opening.
    pub(crate) backoff: Option<(f64, Duration)>,
    /// The longest wait of an answer that is honoured.
    pub(crate) max_retry_after: Option<Duration>,
    pub(crate) probes_at_a_time: u32,
    pub(crate) successes: u32,
    pub(crate) probe_timeout: Duration,
    /// How long the admitted concurrency grows after the probes.
    pub(crate) ramp: Option<Duration>,
    pub(crate) slow_call: Option<Duration>,
    pub(crate) cancelled_call: Option<Duration>,
    pub(crate) count_overloaded: bool,
    /// Whether requests are admitted that would be rejected.
    pub(crate) observe_only: bool,
    /// How many times the settings were changed in use.
    pub(crate) changes: u32,
}

impl Settings {
    /// [`CircuitBreakerBuilder`](crate::CircuitBreakerBuilder) has the reasons.
    pub(crate) const DEFAULT: Self = Self {
        window: Window::Calls(100),
        max_age: MAX_AGE,
        threshold: 0.5,
        slow_rate: 0.5,
        min_calls: 20,
        open_for: Duration::from_secs(5),
        jitter: JITTER,
        backoff: None,
        max_retry_after: Some(MAX_RETRY_AFTER),
        probes_at_a_time: 3,
        successes: 3,
        probe_timeout: Duration::from_secs(5),
        ramp: Some(RAMP),
        slow_call: None,
        cancelled_call: Some(CANCELLED_CALL),
        count_overloaded: true,
        observe_only: false,
        changes: 0,
    };

    /// The default of `backoff` for an `open_for`.
    pub(crate) fn default_backoff(open_for: Duration) -> (f64, Duration) {
        let (factor, times) = BACKOFF;
        (factor, open_for.saturating_mul(times))
    }

    pub(crate) fn check(self) -> Result<Self, InvalidCircuitBreaker> {
        self.check_window()?;
        // Written so that NaN fails.
        for (name, rate) in [
            ("failure_rate", self.threshold),
            ("slow_rate", self.slow_rate),
        ] {
            if !(rate > 0.0 && rate <= 1.0) {
                return Err(InvalidCircuitBreaker::Rate { name, rate });
            }
        }
        if !(1..=MAX_PROBES).contains(&self.probes_at_a_time) {
            return Err(InvalidCircuitBreaker::Probes(self.probes_at_a_time));
        }
        if self.successes == 0 {
            return Err(InvalidCircuitBreaker::Successes);
        }
        for (name, duration) in [
            ("open_for", Some(self.open_for)),
            ("max_age", Some(self.max_age)),
            ("max_retry_after", self.max_retry_after),
            ("probe_timeout", Some(self.probe_timeout)),
            ("ramp", self.ramp),
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
                let open_for = self.open_for;
                return Err(InvalidCircuitBreaker::BackoffMax { max, open_for });
            }
        }
        Ok(self)
    }

    fn check_window(&self) -> Result<(), InvalidCircuitBreaker> {
        let min_calls = self.min_calls;
        let most = match self.window {
            Window::Calls(size) | Window::Consecutive(size) => {
                if !(1..=MAX_WINDOW).contains(&size) {
                    return Err(InvalidCircuitBreaker::Window(size));
                }
                size
            }
            Window::Time(period) if period.is_zero() => {
                return Err(InvalidCircuitBreaker::ZeroDuration("window_time"));
            }
            Window::Time(_) => u32::MAX,
        };
        if (1..=most).contains(&min_calls) {
            Ok(())
        } else {
            let window = most;
            Err(InvalidCircuitBreaker::MinCalls { min_calls, window })
        }
    }

    /// The most outcomes that the window can hold.
    pub(crate) const fn most_calls(&self) -> u32 {
        match self.window {
            Window::Calls(size) | Window::Consecutive(size) => size,
            Window::Time(_) => u32::MAX,
        }
    }

    /// The fewest failures that can open the breaker: a cheap first check.
    pub(crate) fn fewest_failures(&self) -> u32 {
        self.fewest(self.threshold)
    }

    /// The fewest slow calls that can open the breaker.
    pub(crate) fn fewest_slow(&self) -> u32 {
        self.fewest(self.slow_rate)
    }

    fn fewest(&self, rate: f64) -> u32 {
        // Compared as a quotient, as in the exact check, so that 3 of 30 reach a rate of 0.1.
        let about = (rate * f64::from(self.min_calls)) as u32;
        let near = about.saturating_sub(1)..=about.saturating_add(1);
        near.into_iter()
            .find(|count| reaches(*count, self.min_calls, rate))
            .unwrap_or(1)
    }

    /// The time after which a call cancelled without an answer counts as a failure.
    pub(crate) fn cancelled_as_failed(&self) -> Option<Duration> {
        match (self.slow_call, self.cancelled_call) {
            (Some(slow), Some(cancelled)) => Some(slow.min(cancelled)),
            (slow, cancelled) => slow.or(cancelled),
        }
    }
}

/// `length`, longer by up to `jitter` of itself. `dice` is uniform in `0.0..1.0`.
pub(crate) fn jittered(length: u64, jitter: f64, dice: f64) -> u64 {
    length.saturating_add((length as f64 * jitter * dice) as u64)
}

/// Whether this many of the calls reach the rate.
#[inline]
pub(crate) fn reaches(count: u32, calls: u32, rate: f64) -> bool {
    // The quotient is the double nearest to the true ratio, and so is the rate's literal: rounding
    // does not decide.
    f64::from(count) / f64::from(calls) >= rate
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
            let settings = Settings { threshold: failure_rate, min_calls, window: Window::Calls(MAX_WINDOW), ..Settings::DEFAULT };
            let fewest = settings.fewest_failures();
            prop_assert!(reaches(fewest, min_calls, failure_rate));
            prop_assert!(fewest == 0 || !reaches(fewest - 1, min_calls, failure_rate));
        }
    }

    #[test]
    fn decimal_rates_are_reached_exactly() {
        for (failures, calls, rate) in [(3, 30, 0.1), (30, 100, 0.3), (7, 10, 0.7), (29, 100, 0.29)]
        {
            assert!(
                reaches(failures, calls, rate),
                "{failures} of {calls} reach {rate}"
            );
            assert!(!reaches(failures - 1, calls, rate));
        }
    }

    #[test]
    fn jitter_never_shortens() {
        assert_eq!(jittered(1_000, 0.0, 0.999), 1_000);
        assert_eq!(jittered(1_000, 0.2, 0.0), 1_000);
        assert_eq!(jittered(1_000, 0.2, 0.5), 1_100);
        assert_eq!(jittered(u64::MAX, 1.0, 0.5), u64::MAX);
    }
}
