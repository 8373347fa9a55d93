//! A moving average of durations that also decays with time when no samples come.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// The half-life of outdated samples, in nanoseconds, once no sample has come for as long as the
/// average itself.
///
/// 10 seconds: one minute after a slow period, an estimate of one minute has fallen to a few
/// seconds. `hint::a_slow_period_is_forgotten_while_the_limit_is_not_reached` fails with one of
/// minutes.
const HALF_LIFE: u64 = 10_000_000_000;
/// A new sample has a weight of 1/16 while samples come without a pause.
///
/// One slow call in 16 then moves the average by at most a 16th of that call, and about 50 calls
/// replace it.
const WEIGHT: u64 = 16;

/// A moving average in nanoseconds; 0 before the first sample.
///
/// Of two concurrent samples one may be lost; the average is an estimate.
#[derive(Debug)]
pub(crate) struct Average {
    nanos: AtomicU64,
    /// The time of the last sample.
    at: AtomicU64,
}

impl Average {
    pub(crate) const fn new() -> Self {
        Self {
            nanos: AtomicU64::new(0),
            at: AtomicU64::new(0),
        }
    }

    pub(crate) fn nanos(&self) -> u64 {
        self.nanos.load(Relaxed)
    }

    pub(crate) fn reset(&self) {
        self.nanos.store(0, Relaxed);
    }

    /// Adds a sample at `now`, in nanoseconds of one epoch. Its weight is 1/16, or more after a
    /// time without samples.
    pub(crate) fn take(&self, sample: Duration, now: u64) {
        let sample = u64::try_from(sample.as_nanos()).unwrap_or(u64::MAX);
        let before = self.nanos();
        let overdue = self.overdue(before, now);
        let next = if before == 0 {
            sample
        } else if overdue < 2 * HALF_LIFE / WEIGHT {
            before - before / WEIGHT + sample / WEIGHT
        } else {
            let renewed = sample - halved(sample, overdue);
            (halved(before, overdue) + renewed).max(1)
        };
        self.nanos.store(next, Relaxed);
        self.at.store(now, Relaxed);
    }

    /// Returns `value`, derived from the average, at `now`. Its excess over `rest` decays while no
    /// sample comes.
    pub(crate) fn faded(&self, value: u64, rest: u64, now: u64) -> u64 {
        let excess = value.saturating_sub(rest);
        rest.min(value) + halved(excess, self.overdue(self.nanos(), now))
    }

    /// Returns for how long a sample is overdue. While such calls continue, one ends within the
    /// average.
    fn overdue(&self, nanos: u64, now: u64) -> u64 {
        let age = now.saturating_sub(self.at.load(Relaxed));
        age.saturating_sub(nanos)
    }
}

/// Returns what is left of `value` after `time`; linear between two halvings.
fn halved(value: u64, time: u64) -> u64 {
    let (halvings, rest) = (time / HALF_LIFE, time % HALF_LIFE);
    let value = u32::try_from(halvings)
        .ok()
        .and_then(|halvings| value.checked_shr(halvings))
        .unwrap_or(0);
    let lost = u128::from(value / 2) * u128::from(rest) / u128::from(HALF_LIFE);
    value - lost as u64
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_value_halves_in_each_half_life_and_linearly_in_between() {
        for (time, left) in [(0, 800), (5, 600), (10, 400), (15, 300), (20, 200)] {
            assert_eq!(halved(800, time * SECOND), left, "after {time} s");
        }
        assert_eq!(halved(u64::MAX, 64 * HALF_LIFE), 0);
        assert_eq!(halved(u64::MAX, u64::MAX), 0);
    }

    #[test]
    fn a_sample_without_a_pause_has_a_weight_of_one_sixteenth() {
        let average = Average::new();
        average.take(Duration::from_nanos(1600), 0);
        average.take(Duration::ZERO, 5);
        assert_eq!(average.nanos(), 1500);
    }

    #[test]
    fn a_sample_weighs_more_after_a_longer_pause() {
        for (pause, left) in [(10, 500), (20, 250), (6400, 1)] {
            let average = Average::new();
            average.take(Duration::from_nanos(1000), 0);
            average.take(Duration::ZERO, 1000 + pause * SECOND);
            assert_eq!(average.nanos(), left, "after {pause} s");
        }
    }

    #[test]
    fn it_does_not_overflow() {
        let average = Average::new();
        for now in [0, u64::MAX / 2, u64::MAX] {
            average.take(Duration::MAX, now);
        }
        assert!(average.nanos() > u64::MAX / 2);
        assert_eq!(average.faded(5, 7, u64::MAX), 5);
    }
}
