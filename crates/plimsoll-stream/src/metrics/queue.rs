//! A bounded queue.

use std::time::Duration;

use plimsoll_metrics::{InvalidMetric, Metrics};

use super::{
    export::{Export, Series},
    families::{CAPACITY, DEPTH, DROPPED, OLDEST, RECEIVED, SENT, WAIT},
    losses::losses,
    waits,
};
use crate::BoundedQueue;

/// Depth, capacity, throughput, losses, the age of the oldest item, and waits if they are
/// [measured](crate::BoundedQueueBuilder::measure_waits).
impl<T: Send + 'static> Export for BoundedQueue<T> {
    fn export(&self, metrics: &Metrics, name: &str) -> Result<(), InvalidMetric> {
        let series = Series::new(metrics, "queue", name);
        let queue = self.clone();
        series.size(DEPTH, &[("unit", "items")], move || queue.len())?;
        let capacity = self.capacity();
        series.size(CAPACITY, &[("unit", "items")], move || capacity)?;
        if let Some(max) = self.max_bytes() {
            let queue = self.clone();
            series.size(DEPTH, &[("unit", "bytes")], move || queue.bytes())?;
            series.size(CAPACITY, &[("unit", "bytes")], move || max)?;
        }
        let queue = self.clone();
        series.counter(SENT, &[], move || queue.counters().sent())?;
        let queue = self.clone();
        series.counter(RECEIVED, &[], move || queue.counters().received())?;
        for (policy, reason) in losses(|policy| self.allows(policy)) {
            let labels = [("policy", policy), ("reason", reason.name())];
            let queue = self.clone();
            series.counter(DROPPED, &labels, move || {
                let counters = queue.counters();
                let mut lost = counters.lost();
                let found = lost.find(|(of, why, _)| *of == policy && *why == reason);
                found.map_or(0, |(.., count)| count)
            })?;
        }
        let queue = self.clone();
        series.gauge(OLDEST, &[], move || oldest(&queue))?;
        if self.wait_times().is_some() {
            let queue = self.clone();
            series.histogram(WAIT, &waits::bounds(), move || {
                waits::distribution(queue.wait_times().as_ref())
            })?;
        }
        Ok(())
    }
}

/// In seconds: 0 for an empty queue, and NaN, which is unknown, for items without a time stamp.
fn oldest<T>(queue: &BoundedQueue<T>) -> f64 {
    let is_empty = queue.is_empty();
    let unknown = if is_empty { 0.0 } else { f64::NAN };
    queue
        .oldest_age()
        .map_or(unknown, |age: Duration| age.as_secs_f64())
}
