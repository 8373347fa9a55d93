//! An alarm.

use plimsoll_metrics::{InvalidMetric, Metrics};

use super::{export::Export, families::SATURATED};
use crate::alarm::Alarm;

/// `plimsoll_stream_saturated{signal="…"}`: 1 while the alarm is raised, and 0 otherwise.
impl<L: Send + Sync + 'static> Export for Alarm<L> {
    fn export(&self, metrics: &Metrics, name: &str) -> Result<(), InvalidMetric> {
        let alarm = self.clone();
        metrics.gauge(
            SATURATED.name,
            SATURATED.help,
            &[("signal", name)],
            move || f64::from(alarm.is_raised()),
        )
    }
}
