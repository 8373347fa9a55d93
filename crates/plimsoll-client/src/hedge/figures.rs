//! The figures of a hedge layer, for metrics and dashboards.

use plimsoll_core::figures::{self, Figure, Figures};
use tokio::time::Instant;

use super::handle::HedgeHandle;

/// Reads the clock, for the budget.
impl Figures for HedgeHandle {
    fn policy(&self) -> &'static str {
        "hedge"
    }

    fn read(&self, each: &mut dyn FnMut(&'static Figure, f64)) {
        each(&figures::BUDGET, self.budget().available(Instant::now()));
        each(&figures::SUPPRESSED, self.budget().suppressed() as f64);
        each(&figures::HEDGED, self.hedges() as f64);
        each(&WON, self.won() as f64);
        each(
            &DELAY,
            self.delay().map_or(f64::NAN, |delay| delay.as_secs_f64()),
        );
    }
}

static WON: Figure = Figure::counter("hedges_won", "Second attempts that answered first");
static DELAY: Figure =
    Figure::gauge("hedge_delay", "Delay of second attempts; NaN while unknown").in_unit("seconds");
