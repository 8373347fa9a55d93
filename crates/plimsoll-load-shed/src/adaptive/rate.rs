//! Estimates rates from counts, as fast as random noise allows. Pure.

use std::ops::{Add, AddAssign};

/// Counts, or seconds for low rates, with which a sample weighs as much as the estimate before it.
///
/// 500 counts have a standard error of 4.5 %. With fewer the budget follows the noise
/// (`small_deviations_move_the_rate_by_a_fifth_of_the_difference`).
const STEADY: (f64, f64) = (500.0, 2.0);
/// The same after a change beyond noise, so that two samples of 100 follow it
/// (`a_change_beyond_noise_is_followed_in_two_samples`).
const CHANGED: (f64, f64) = (100.0, 0.5);
/// Standard deviations from the estimate beyond which a sample is a change: random counts exceed 3 in
/// one of 370 samples.
const CHANCE: f64 = 3.0;
/// Counts, or seconds for low rates, from which a sample is compared with the estimate. 100 counts
/// show a change of a third, at three standard deviations.
const ENOUGH: (f64, f64) = (100.0, 1.0);

/// A count of events over a time in seconds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sample {
    count: f64,
    seconds: f64,
}

impl Sample {
    pub(crate) fn new(count: f64, seconds: f64) -> Self {
        Self { count, seconds }
    }

    pub(crate) fn count(&self) -> f64 {
        self.count
    }

    /// Mean events per second; 0 for an empty sample.
    pub(crate) fn rate(&self) -> f64 {
        if self.seconds > 0.0 {
            self.count / self.seconds
        } else {
            0.0
        }
    }

    /// Returns whether the sample is large enough for [`Learned::learn`].
    pub(crate) fn is_enough(&self) -> bool {
        self.count >= ENOUGH.0 || self.seconds >= ENOUGH.1
    }

    fn weight(&self, (count, seconds): (f64, f64)) -> f64 {
        f64::max(
            self.count / (self.count + count),
            self.seconds / (self.seconds + seconds),
        )
    }
}

impl AddAssign for Sample {
    fn add_assign(&mut self, other: Self) {
        self.count += other.count;
        self.seconds += other.seconds;
    }
}

impl Add for Sample {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        self += other;
        self
    }
}

/// A rate per second, estimated from samples.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Learned(f64);

impl Learned {
    pub(crate) fn new(rate: f64) -> Self {
        Self(rate)
    }

    pub(crate) fn rate(self) -> f64 {
        self.0
    }

    pub(crate) fn at_least(&mut self, rate: f64) {
        self.0 = self.0.max(rate);
    }

    /// Smooths in a sample of any size.
    pub(crate) fn follow(&mut self, sample: &Sample) {
        self.0 += sample.weight(STEADY) * (sample.rate() - self.0);
    }

    /// Smooths in a sample, and follows a change beyond noise fast. The sample should be
    /// [large enough](Sample::is_enough) to show it.
    pub(crate) fn learn(&mut self, sample: &Sample) {
        let expected = self.0 * sample.seconds;
        let changed = (sample.count - expected).abs() > CHANCE * (expected + 1.0).sqrt();
        let weight = sample.weight(if changed { CHANGED } else { STEADY });
        self.0 += weight * (sample.rate() - self.0);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Samples of 100 until the rate is within 30 % of `to`; 100 counts are no more precise.
    fn samples_until(to: f64) -> usize {
        let mut learned = Learned::new(1000.0);
        let near = |_: &usize| {
            learned.learn(&Sample::new(100.0, 100.0 / to));
            (learned.rate() / to - 1.0).abs() > 0.3
        };
        (0..1000).take_while(near).count() + 1
    }

    #[test]
    fn a_change_beyond_noise_is_followed_in_two_samples() {
        assert_eq!(samples_until(500.0), 2);
        assert_eq!(samples_until(3000.0), 2);
    }

    #[test]
    fn small_deviations_move_the_rate_by_a_fifth_of_the_difference() {
        let mut learned = Learned::new(1000.0);
        learned.learn(&Sample::new(120.0, 0.1));
        assert!((learned.rate() - 1038.7).abs() < 0.1, "{}", learned.rate());
    }

    #[test]
    fn small_counts_weigh_by_their_time() {
        let mut learned = Learned::new(8.0);
        assert!(!Sample::new(7.0, 0.9).is_enough());
        learned.follow(&Sample::new(16.0, 2.0));
        assert!((learned.rate() - 8.0).abs() < 1e-9);
        learned.learn(&Sample::new(0.0, 2.0));
        assert!(learned.rate() < 2.0, "the service has stopped");
    }
}
