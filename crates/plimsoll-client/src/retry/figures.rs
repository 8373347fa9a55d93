//! The figures of a retry layer, for metrics and dashboards.

use std::fmt;

use plimsoll_core::figures::{self, Figure, Figures};
use tokio::time::Instant;

use super::handle::RetryHandle;

/// Reads the clock, for the budget.
impl Figures for RetryHandle {
    fn policy(&self) -> &'static str {
        "retry"
    }

    fn read(&self, each: &mut dyn FnMut(&'static Figure, f64)) {
        each(&figures::BUDGET, self.budget().available(Instant::now()));
        each(&figures::SUPPRESSED, self.budget().suppressed() as f64);
        each(&figures::RETRIED, self.retries() as f64);
        each(&FREE, self.free() as f64);
        each(&TOO_LATE, self.too_late() as f64);
    }

    fn settings(&self, each: &mut dyn FnMut(&'static str, &dyn fmt::Display)) {
        each("attempts at most", &self.0.rules.max_attempts);
    }
}

static FREE: Figure = Figure::counter(
    "retried_free",
    "Retries that cost no budget, since nothing was run before",
);
static TOO_LATE: Figure = Figure::counter(
    "too_late",
    "Calls without a further attempt because of their deadline",
);
