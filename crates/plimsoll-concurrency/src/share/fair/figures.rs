//! The figures of fair shares, for metrics and dashboards.

use plimsoll_core::{
    Criticality,
    figures::{self, Figure, Figures},
};

use super::{handle::FairShareHandle, policy::NAME};

impl Figures for FairShareHandle {
    fn policy(&self) -> &'static str {
        NAME
    }

    fn read(&self, each: &mut dyn FnMut(&'static Figure, f64)) {
        for (figure, criticality) in LEVELS.iter().zip(Criticality::ALL) {
            each(figure, self.level_of(criticality).unwrap_or(f64::NAN));
        }
        each(&figures::REJECTED, self.rejected() as f64);
    }
}

/// In the order of [`Criticality::ALL`].
static LEVELS: [Figure; 4] = [
    level("SHEDDABLE"),
    level("SHEDDABLE_PLUS"),
    level("CRITICAL"),
    level("CRITICAL_PLUS"),
];

const fn level(criticality: &'static str) -> Figure {
    let help = "Requests that a key may have inside; NaN while no level applies";
    Figure::gauge("fair_level", help).with_label("criticality", criticality)
}
