//! A hub.

use std::sync::Arc;

use plimsoll_metrics::{InvalidMetric, Metrics};

use super::{
    export::{Export, Series},
    families::{CLIENTS, GAPS, HITS, MISSED, MISSES, RECEIVED, SENT, SLOW},
};
use crate::hub::{Hub, HubCounters, Shared};

/// Subscribers, throughput, gaps and resumes. The items that are kept are no queue: their number
/// is at the capacity in normal use.
impl<T: Send + Sync + 'static> Export for Hub<T> {
    fn export(&self, metrics: &Metrics, name: &str) -> Result<(), InvalidMetric> {
        let series = Series::new(metrics, "hub", name);
        let shared = Arc::clone(&self.shared);
        series.size(CLIENTS, &[], move || shared.subscribers())?;
        log(&series, &self.shared)?;
        let shared = Arc::clone(&self.shared);
        series.counter(SLOW, &[("reason", "lag")], move || {
            shared.counters().disconnected
        })
    }
}

/// What a hub and a topic have in common. The hub's state is held, and not the hub, which would
/// stay open.
pub(super) fn log<T: Send + Sync + 'static>(
    series: &Series<'_>,
    shared: &Arc<Shared<T>>,
) -> Result<(), InvalidMetric> {
    let read = |read: fn(&HubCounters) -> u64| {
        let shared = Arc::clone(shared);
        move || read(&shared.counters())
    };
    series.counter(SENT, &[], read(|counters| counters.published))?;
    series.counter(RECEIVED, &[], read(|counters| counters.delivered))?;
    series.counter(GAPS, &[], read(|counters| counters.gaps))?;
    series.counter(MISSED, &[], read(|counters| counters.missed))?;
    series.counter(HITS, &[], read(|counters| counters.replay_hits))?;
    series.counter(MISSES, &[], read(|counters| counters.replay_misses))
}
