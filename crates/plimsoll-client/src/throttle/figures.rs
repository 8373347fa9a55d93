//! The figures of a client's throttle, for metrics and dashboards.

use std::fmt;

use plimsoll_core::{
    Criticality,
    figures::{Figure, Figures},
};
use tokio::time::Instant;

use super::{handle::AdaptiveThrottleHandle, policy::NAME};

/// Reads the clock, for the probabilities.
impl Figures for AdaptiveThrottleHandle {
    fn policy(&self) -> &'static str {
        NAME
    }

    fn read(&self, each: &mut dyn FnMut(&'static Figure, f64)) {
        let now = Instant::now();
        for (figure, criticality) in PROBABILITY.iter().zip(Criticality::ALL) {
            each(figure, self.probability(criticality, now));
        }
        self.ledger().read(each);
    }

    fn settings(&self, each: &mut dyn FnMut(&'static str, &dyn fmt::Display)) {
        each("multiplier", &self.multiplier());
        each("highest rejection", &self.max_rejection());
        each("requests at least", &self.at_least());
    }
}

/// In the order of [`Criticality::ALL`].
static PROBABILITY: [Figure; 4] = [
    probability("SHEDDABLE"),
    probability("SHEDDABLE_PLUS"),
    probability("CRITICAL"),
    probability("CRITICAL_PLUS"),
];

const fn probability(criticality: &'static str) -> Figure {
    Figure::gauge("rejection_probability", "Probability of a rejection here")
        .with_label("criticality", criticality)
}
