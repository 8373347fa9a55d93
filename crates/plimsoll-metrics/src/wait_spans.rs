//! Spans of `tracing` for waits in the queue of a gate.

use std::time::Duration;

use plimsoll_core::Observe;

use crate::trace::TARGET;

/// Reports each wait in the queue of a gate to `tracing`, inside of the request's span.
///
/// When a wait ends, a span `queue wait` with an event in it is made at level `DEBUG`, target
/// `plimsoll`, as a child of the current span. The fields:
///
/// | field | value |
/// |---|---|
/// | `plimsoll.gate` | the [name](plimsoll_core::GateBuilder::name) of the gate |
/// | `plimsoll.wait` | the wait in seconds |
/// | `plimsoll.outcome` | `admitted`, or `abandoned` when the caller left |
///
/// The span is made after the wait, so its own duration is not the wait: core has no dependency on
/// `tracing` events, and a gate reports a wait when it ends. A wait that ended in a rejection
/// has no span.
///
/// It runs on the path of requests that were queued, and of no others; a subscriber that panics
/// there is contained by the gate, and one that blocks delays that request. Nothing is made unless a
/// subscriber listens at `DEBUG`.
///
/// ```
/// use plimsoll_core::GateLayer;
/// use plimsoll_metrics::{Metrics, WaitSpans};
///
/// let metrics = Metrics::new();
/// let layer: GateLayer<()> = GateLayer::builder(())
///     .name("ads")
///     .observe(metrics.gate("ads"))
///     .observe(WaitSpans)
///     .build();
/// # drop(layer);
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct WaitSpans;

impl Observe for WaitSpans {
    fn observes_each_request(&self) -> bool {
        false
    }

    fn admitted(&self, gate: &str, waited: Duration) {
        // Zero means that the request was not queued.
        if !waited.is_zero() {
            report(gate, waited, "admitted");
        }
    }

    fn abandoned(&self, gate: &str, waited: Duration) {
        report(gate, waited, "abandoned");
    }
}

#[cold]
fn report(gate: &str, waited: Duration, outcome: &'static str) {
    let span = tracing::debug_span!(
        target: TARGET,
        "queue wait",
        plimsoll.gate = gate,
        plimsoll.wait = waited.as_secs_f64(),
        plimsoll.outcome = outcome,
    );
    span.in_scope(|| tracing::debug!(target: TARGET, "the request left the queue"));
}
