//! Spans of `tracing` for waits in the queue of a gate.

use plimsoll_core::{Observe, OnWaitEnd, WaitEnd};
use tracing::field::Empty;

use crate::trace::TARGET;

/// Makes a span of `tracing` for each wait in the queue of a gate.
///
/// The span `queue wait`, at level `DEBUG` and with target `plimsoll`, is a child of the span in which
/// the gate was called. It opens when the request is queued and closes when its wait ends, after an
/// event in it. The fields:
///
/// | field | value |
/// |---|---|
/// | `plimsoll.gate` | the [name](plimsoll_core::GateBuilder::name) of the gate |
/// | `plimsoll.wait` | the wait in seconds, recorded at its end |
/// | `plimsoll.outcome` | `admitted`, `rejected`, or `abandoned` when the caller left; at the end |
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

    fn queued(&self, gate: &str) -> Option<OnWaitEnd> {
        let span = tracing::debug_span!(
            target: TARGET,
            "queue wait",
            plimsoll.gate = gate,
            plimsoll.wait = Empty,
            plimsoll.outcome = Empty,
        );
        if span.is_disabled() {
            return None;
        }
        Some(Box::new(move |end, waited| {
            span.record("plimsoll.wait", waited.as_secs_f64());
            span.record("plimsoll.outcome", outcome(end));
            span.in_scope(|| tracing::debug!(target: TARGET, "the request left the queue"));
        }))
    }
}

fn outcome(end: WaitEnd) -> &'static str {
    match end {
        WaitEnd::Admitted => "admitted",
        WaitEnd::Rejected => "rejected",
        _ => "abandoned",
    }
}
