//! The figures of a downstream policy, for metrics and dashboards.

use plimsoll_core::{
    Criticality,
    figures::{self, Figure, Figures},
};
use tokio::time::Instant;

use super::policy::{DownstreamHandle, NAME};

/// Reads the clock, for the threshold.
impl Figures for DownstreamHandle {
    fn policy(&self) -> &'static str {
        NAME
    }

    fn read(&self, each: &mut dyn FnMut(&'static Figure, f64)) {
        each(
            &figures::THRESHOLD,
            f64::from(self.threshold(Instant::now())),
        );
        for (figure, criticality) in figures::ADMITTED_AS.iter().zip(Criticality::ALL) {
            each(figure, self.sent(criticality) as f64);
        }
        for (figure, criticality) in figures::SHED_AS.iter().zip(Criticality::ALL) {
            each(figure, self.shed(criticality) as f64);
        }
    }
}
