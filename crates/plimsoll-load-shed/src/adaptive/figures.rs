//! The figures of adaptive shedding, for metrics and dashboards.

use std::fmt;

use plimsoll_core::{
    LoadSignal,
    figures::{self, Figure, Figures},
};

use super::{handle::AdaptiveShedHandle, policy::NAME};

/// The threshold is that of the last window. The signal stays in use while the handle is watched.
impl<L: LoadSignal + Send + Sync> Figures for AdaptiveShedHandle<L> {
    fn policy(&self) -> &'static str {
        NAME
    }

    fn read(&self, each: &mut dyn FnMut(&'static Figure, f64)) {
        each(&figures::LOAD, self.load());
        each(&figures::THRESHOLD, f64::from(self.threshold()));
        each(&ADMITS, self.budget().unwrap_or(f64::NAN));
        self.ledger().read(each);
    }

    fn settings(&self, each: &mut dyn FnMut(&'static str, &dyn fmt::Display)) {
        each("window", &format_args!("{:?}", self.window()));
    }
}

static ADMITS: Figure = Figure::gauge(
    "admission_rate",
    "Requests per second that are admitted; NaN while nothing is shed",
);
