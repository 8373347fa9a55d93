//! A moving average of times that forgets by count, and by time once nothing is measured any more.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Nanoseconds in which what is out of date loses half of its weight, once no sample has come for as
/// long as the average itself. 10 seconds: a minute after a slow period, an estimate of a minute is
/// down to a few seconds. `hint::a_slow_period_is_forgotten_while_the_limit_is_not_reached` fails with
/// one of minutes.
const HALF_LIFE: u64 = 10_000_000_000;
/// The weight of a sample among those that come without a pause: one in 16 calls may be slow without
/// moving the average by more than a 16th of it, and 50 calls replace it.
const WEIGHT: u64 = 16;

/// A moving average in nanoseconds; 0 before the first sample.
///
/// Of two samples that are taken at once, one may be lost: it is an estimate.
#[derive(Debug)]
pub(crate) struct Average {
    nanos: AtomicU64,
    /// The moment of the last sample.
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

    /// Takes in a sample at `now`, in nanoseconds of one epoch. It weighs a 16th, or more after a time
    /// without samples.
    pub(crate) fn take(&self, sample: Duration, now: u64) {
        let sample = u64::try_from(sample.as_nanos()).unwrap_or(u64::MAX);
        let before = self.nanos();
        let overdue = self.overdue(before, now);
        let next = if before == 0 {
            sample
        } else if overdue < 2 * HALF_LIFE / WEIGHT {
            before - before / WEIGHT + sample / WEIGHT
        } else {
            let forgotten = sample - halved(sample, overdue);
            (halved(before, overdue) + forgotten).max(1)
        };
        self.nanos.store(next, Relaxed);
        self.at.store(now, Relaxed);
    }

    /// What exceeds `rest`, a value that was derived from the average, at `now`: less and less when no
    /// sample comes.
    pub(crate) fn faded(&self, value: u64, rest: u64, now: u64) -> u64 {
        let excess = value.saturating_sub(rest);
        rest.min(value) + halved(excess, self.overdue(self.nanos(), now))
    }

    /// For how long a sample has been missing: where such calls go on, one ends within the time that
    /// they take.
    fn overdue(&self, nanos: u64, now: u64) -> u64 {
        let age = now.saturating_sub(self.at.load(Relaxed));
        age.saturating_sub(nanos)
    }
}

/// What is left of `value` after `time`; in between two halvings, along a line.
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
    fn half_is_left_after_each_half_life_and_three_quarters_in_the_middle() {
        for (time, left) in [(0, 800), (5, 600), (10, 400), (15, 300), (20, 200)] {
            assert_eq!(halved(800, time * SECOND), left, "after {time} s");
        }
        assert_eq!(halved(u64::MAX, 64 * HALF_LIFE), 0);
        assert_eq!(halved(u64::MAX, u64::MAX), 0);
    }

    #[test]
    fn samples_that_follow_each_other_weigh_a_sixteenth() {
        let average = Average::new();
        average.take(Duration::from_nanos(1600), 0);
        average.take(Duration::ZERO, 5);
        assert_eq!(average.nanos(), 1500);
    }

    #[test]
    fn a_sample_weighs_more_the_longer_none_came() {
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
