//! The connections of a listener.

use plimsoll_metrics::{InvalidMetric, Metrics};

use super::{
    export::{Export, Series},
    families::{BLOCKED, CLIENTS, SLOW, UNSENT},
};
use crate::listener::{BackpressureHandle, SlowDisconnect};

/// Connections, those that are blocked, slow clients, and what the kernel holds.
///
/// `unsent_bytes` [asks the kernel](BackpressureHandle::unsent) in each scrape, which takes some
/// milliseconds on a machine with many sockets; NaN where the kernel cannot be asked.
impl Export for BackpressureHandle {
    fn export(&self, metrics: &Metrics, name: &str) -> Result<(), InvalidMetric> {
        let series = Series::new(metrics, "listener", name);
        let handle = self.clone();
        series.size(CLIENTS, &[], move || handle.open())?;
        let handle = self.clone();
        series.size(BLOCKED, &[], move || handle.blocked())?;
        for reason in SlowDisconnect::ALL {
            let handle = self.clone();
            series.counter(SLOW, &[("reason", reason.name())], move || {
                handle.slow_disconnects(reason)
            })?;
        }
        let handle = self.clone();
        series.gauge(UNSENT, &[], move || {
            let unsent = handle.unsent();
            unsent.map_or(f64::NAN, |unsent| unsent.unsent as f64)
        })
    }
}
