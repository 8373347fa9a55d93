//! A throttle.

use plimsoll_metrics::{InvalidMetric, Metrics};

use super::{
    export::{Export, Series},
    families::{DELAYED, PASSED},
};
use crate::throttle::Throttle;

/// Items that have passed, and those of them that had to wait.
impl Export for Throttle {
    fn export(&self, metrics: &Metrics, name: &str) -> Result<(), InvalidMetric> {
        let series = Series::new(metrics, "throttle", name);
        let throttle = self.clone();
        series.counter(PASSED, &[], move || throttle.passed())?;
        let throttle = self.clone();
        series.counter(DELAYED, &[], move || throttle.delayed())
    }
}
