//! A work queue.

use std::sync::Arc;

use plimsoll_metrics::{InvalidMetric, Metrics};

use super::{
    export::{Export, Series},
    families::{CAPACITY, DEPTH, DROPPED, RECEIVED, RETRY, SENT},
};
use crate::work::{Running, WorkQueue};

/// Queued jobs without those of handlers that left, throughput, losses and rejections.
///
/// `queue_received_total` are the jobs that ended, and `retry_headers_total` the
/// [`WorkError`](crate::work::WorkError)s and rejections with an estimate: whether a handler
/// answers with them is not known. The label `policy` is that of the queue when it is exported.
impl Export for WorkQueue {
    fn export(&self, metrics: &Metrics, name: &str) -> Result<(), InvalidMetric> {
        let series = Series::new(metrics, "work_queue", name);
        // The handles are not held: the workers end with the last of them.
        let running = &self.inner.running;
        let size = |read: fn(&Running) -> usize| {
            let running = Arc::clone(running);
            move || read(&running)
        };
        series.size(DEPTH, &[("unit", "items")], size(Running::waiting))?;
        let capacity = self.capacity();
        series.size(CAPACITY, &[("unit", "items")], move || capacity)?;
        if let Some(max) = running.max_bytes() {
            series.size(DEPTH, &[("unit", "bytes")], size(Running::waiting_bytes))?;
            series.size(CAPACITY, &[("unit", "bytes")], move || max)?;
        }
        let read = |read: fn(&Running) -> u64| {
            let running = Arc::clone(running);
            move || read(&running)
        };
        series.counter(SENT, &[], read(|all| all.counters.accepted.get()))?;
        series.counter(
            RECEIVED,
            &[],
            read(|all| all.counters.completed.get() + all.counters.panicked.get()),
        )?;
        let policy = running.policy().name();
        let labels = |reason| [("policy", policy), ("reason", reason)];
        let evicted = read(|all| all.counters.evicted.get());
        series.counter(DROPPED, &labels("evicted"), evicted)?;
        let hung_up = read(|all| all.counters.hung_up.get());
        series.counter(DROPPED, &labels("hung_up"), hung_up)?;
        let hinted = read(|all| all.counters.hinted.get());
        series.counter(RETRY, &[("status", "503")], hinted)
    }
}
