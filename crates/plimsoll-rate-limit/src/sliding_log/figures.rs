//! The figures of a sliding log, for metrics and dashboards.

use std::fmt;

use plimsoll_core::figures::{self, Figure, Figures};

use super::{SlidingLog, settings::SlidingLogHandle};

impl Figures for SlidingLogHandle {
    fn policy(&self) -> &'static str {
        SlidingLog::NAME
    }

    fn read(&self, each: &mut dyn FnMut(&'static Figure, f64)) {
        each(
            &figures::QUOTA,
            f64::from(self.limit()) / self.period().as_secs_f64(),
        );
        each(&figures::REJECTED, self.rejected() as f64);
    }

    fn settings(&self, each: &mut dyn FnMut(&'static str, &dyn fmt::Display)) {
        each(
            "limit",
            &format_args!("{} in {:?}", self.limit(), self.period()),
        );
    }
}
