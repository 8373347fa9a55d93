//! Rates from counts, as quickly as chance allows: pure.

use std::ops::{Add, AddAssign};

/// Counts that weigh as much as all that was known before, and, where there are few, seconds that do, ...
const STEADY: (f64, f64) = (500.0, 2.0);
/// ... and when the rate has changed by more than chance.
const CHANGED: (f64, f64) = (100.0, 0.5);
/// Standard deviations that are not chance any more.
const CHANCE: f64 = 3.0;
/// A count that shows a change of a third, or the seconds after which fewer have to do.
const ENOUGH: (f64, f64) = (100.0, 1.0);

/// A count of something over a time.
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

    /// A second, on average.
    pub(crate) fn rate(&self) -> f64 {
        if self.seconds > 0.0 {
            self.count / self.seconds
        } else {
            0.0
        }
    }

    /// Whether something can be learned from it.
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

/// A rate that is learned from samples.
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

    /// Takes a sample of any size into a mean.
    pub(crate) fn follow(&mut self, sample: &Sample) {
        self.0 += sample.weight(STEADY) * (sample.rate() - self.0);
    }

    /// The same, but believes a change that is no chance. The sample should be [enough](Sample::is_enough) to tell.
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

    /// How many samples of 100 it takes until the rate is within three tenths of `to`, beyond which a hundred cannot tell.
    fn samples_until(to: f64) -> usize {
        let mut learned = Learned::new(1000.0);
        let near = |_: &usize| {
            learned.learn(&Sample::new(100.0, 100.0 / to));
            (learned.rate() / to - 1.0).abs() > 0.3
        };
        (0..1000).take_while(near).count() + 1
    }

    #[test]
    fn what_is_no_chance_is_believed_at_once() {
        assert_eq!(samples_until(500.0), 2);
        assert_eq!(samples_until(3000.0), 2);
    }

    #[test]
    fn what_may_be_chance_moves_the_rate_by_a_fifth_of_the_way() {
        let mut learned = Learned::new(1000.0);
        learned.learn(&Sample::new(120.0, 0.1));
        assert!((learned.rate() - 1038.7).abs() < 0.1, "{}", learned.rate());
    }

    #[test]
    fn few_answers_count_by_their_time() {
        let mut learned = Learned::new(8.0);
        assert!(!Sample::new(7.0, 0.9).is_enough());
        learned.follow(&Sample::new(16.0, 2.0));
        assert!((learned.rate() - 8.0).abs() < 1e-9);
        learned.learn(&Sample::new(0.0, 2.0));
        assert!(learned.rate() < 2.0, "a service that has stopped");
    }
}
