//! The figures of a sampling, for metrics and dashboards.

use std::fmt;

use plimsoll_core::figures::{self, Figure, Figures};

use crate::{Rates, Sampling, SamplingHandle};

/// The rate is that of the latest request.
impl Figures for SamplingHandle {
    fn policy(&self) -> &'static str {
        Sampling::NAME
    }

    fn read(&self, each: &mut dyn FnMut(&'static Figure, f64)) {
        each(&figures::RATE, self.latest_rate());
        each(&KEPT, self.kept() as f64);
        each(&SKIPPED, self.skipped() as f64);
    }

    fn settings(&self, each: &mut dyn FnMut(&'static str, &dyn fmt::Display)) {
        let Rates {
            base,
            min,
            threshold,
        } = self.rates();
        each(
            "rates",
            &format_args!("{base} up to a load of {threshold}, {min} at 1"),
        );
    }
}

static KEPT: Figure = Figure::counter("kept", "Requests that were kept");
static SKIPPED: Figure = Figure::counter("skipped", "Requests that were left out");
