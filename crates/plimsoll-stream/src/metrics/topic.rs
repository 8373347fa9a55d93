//! A topic of server-sent events.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use plimsoll_metrics::{InvalidMetric, Metrics};

use super::{
    export::{Export, Series},
    families::{CLIENTS, MIGRATIONS, RETRY, UTILIZATION},
    hub,
};
use crate::sse::{Figures, Topic};

/// Clients, throughput, gaps, resumes, moves between stream and polling, rejections, and the
/// [highest share of a buffer](Topic::buffer_utilization).
impl Export for Topic {
    fn export(&self, metrics: &Metrics, name: &str) -> Result<(), InvalidMetric> {
        let series = Series::new(metrics, "topic", name);
        let shared = Arc::clone(&self.shared);
        series.size(CLIENTS, &[], move || shared.figures.clients.load(Relaxed))?;
        hub::log(&series, &self.hub.shared)?;
        let (shared, log) = (Arc::clone(&self.shared), Arc::clone(&self.hub.shared));
        series.gauge(UTILIZATION, &[], move || {
            shared.buffer_utilization(log.last())
        })?;
        let read = |read: fn(&Figures) -> &AtomicU64| {
            let shared = Arc::clone(&self.shared);
            move || read(&shared.figures).load(Relaxed)
        };
        series.counter(RETRY, &[("status", "429")], read(|all| &all.answered_429))?;
        series.counter(RETRY, &[("status", "503")], read(|all| &all.answered_503))?;
        let (slow, silent) = (
            read(|all| &all.moved_slow),
            read(|all| &all.moved_ack_timeout),
        );
        series.counter(MIGRATIONS, &[("to", "poll")], move || slow() + silent())?;
        series.counter(MIGRATIONS, &[("to", "stream")], read(|all| &all.returned))
    }
}
