//! The streams of a gRPC server.

use plimsoll_metrics::{InvalidMetric, Metrics};

use super::{
    export::{Export, Series},
    families::{BLOCKED, SLOW},
};
use crate::grpc::StreamServerHandle;

/// Streams that wait for their client's window, and those that were reset.
impl Export for StreamServerHandle {
    fn export(&self, metrics: &Metrics, name: &str) -> Result<(), InvalidMetric> {
        let series = Series::new(metrics, "grpc", name);
        let handle = self.clone();
        series.size(BLOCKED, &[], move || handle.blocked())?;
        let handle = self.clone();
        let reason = [("reason", "write_deadline")];
        series.counter(SLOW, &reason, move || handle.slow_disconnects())
    }
}
