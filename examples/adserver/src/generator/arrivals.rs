//! Times and publishers of requests. The same seed makes the same arrivals.

use std::{io, time::Duration};

use fastrand::Rng;

use crate::{
    arrival::Arrival,
    settings::{GREEDY_SHARE, IMPRESSIONS_PER_AUCTION, PUBLISHERS},
    tally::{Load, Schedule},
    trace,
};

/// Returns the arrivals of a load, earliest first. A closed loop has none: its clients send after each
/// response.
pub(super) fn of(load: &Load) -> io::Result<Box<dyn Iterator<Item = Arrival> + Send>> {
    Ok(match &load.schedule {
        Schedule::Poisson { rate } => Box::new(Poisson::new(*rate, load.seconds, load.seed)),
        Schedule::Trace { file, speed } => {
            let trace = trace::read(file, load.seed).map_err(io::Error::other)?;
            Box::new(trace.replay(*speed, load.seconds).into_iter())
        }
        Schedule::Closed { .. } => Box::new(std::iter::empty()),
    })
}

/// Independent arrivals at a constant mean rate: the gaps between them are exponential.
struct Poisson {
    rate: f64,
    end: f64,
    now: f64,
    dice: Dice,
}

impl Poisson {
    fn new(rate: f64, seconds: f64, seed: u64) -> Self {
        Self {
            rate,
            end: seconds,
            now: 0.0,
            dice: Dice::new(seed),
        }
    }
}

impl Iterator for Poisson {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        // `1 - f64()` is never zero, so the logarithm is finite.
        self.now -= (1.0 - self.dice.0.f64()).ln() / self.rate;
        (self.now < self.end).then(|| Arrival {
            at: Duration::from_secs_f64(self.now),
            publisher: self.dice.publisher(),
            cost: 1.0,
        })
    }
}

/// The random choices about requests.
pub(super) struct Dice(Rng);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(Rng::with_seed(seed))
    }

    /// Returns the greedy publisher, or another.
    fn publisher(&mut self) -> u32 {
        if self.0.f64() < GREEDY_SHARE {
            0
        } else {
            self.modest_publisher()
        }
    }

    /// Returns one of the other publishers.
    pub(super) fn modest_publisher(&mut self) -> u32 {
        self.0.u32(1..=PUBLISHERS)
    }

    /// Returns whether an impression is due, too, and its index in `Criticality::ALL`, least important
    /// first. One in ten is billed, three are reported to the customer, the others are for statistics.
    pub(super) fn impression(&mut self) -> Option<usize> {
        (self.0.f64() < IMPRESSIONS_PER_AUCTION).then(|| match self.0.u8(0..10) {
            0 => 3,
            1..4 => 2,
            4..7 => 1,
            _ => 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrivals(seed: u64) -> Vec<Arrival> {
        Poisson::new(1_000.0, 10.0, seed).collect()
    }

    #[test]
    fn the_same_seed_makes_the_same_arrivals() {
        assert_eq!(arrivals(7), arrivals(7));
        assert_ne!(arrivals(7), arrivals(8));
    }

    #[test]
    fn poisson_arrivals_have_the_right_rate_and_variance() {
        let arrivals = arrivals(1);
        // 10,000 expected, with a standard deviation of 100.
        assert!(arrivals.len().abs_diff(10_000) < 400, "{}", arrivals.len());
        assert!(arrivals.is_sorted_by_key(|arrival| arrival.at));
        // The variance of the counts in 1,000 windows of 10 ms equals their mean.
        let mut counts = [0_i32; 1_000];
        for arrival in &arrivals {
            counts[(arrival.at.as_secs_f64() * 100.0) as usize] += 1;
        }
        let variance = counts
            .iter()
            .map(|n| f64::from((n - 10).pow(2)))
            .sum::<f64>()
            / 1_000.0;
        assert!((8.0..12.0).contains(&variance), "{variance}");
    }

    #[test]
    fn one_publisher_is_greedy() {
        let arrivals = arrivals(3);
        let greedy = arrivals
            .iter()
            .filter(|arrival| arrival.publisher == 0)
            .count();
        assert!(
            (greedy as f64 / arrivals.len() as f64 - GREEDY_SHARE).abs() < 0.02,
            "{greedy}"
        );
    }
}
