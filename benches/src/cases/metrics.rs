//! Gates with metrics, each a case of `plimsoll` with an observer.

use plimsoll_concurrency::ConcurrencyLimit;
use plimsoll_core::{Gate, GateLayer, Http};
use plimsoll_metrics::Metrics;
use tower::Layer;

use super::{
    Case,
    bare::HTTP,
    plimsoll::{Inner, Refuse, concurrency},
};

/// The cases, in the order of those without metrics: `gate`, `concurrency`, `adaptive`.
pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("plimsoll/gate-metrics@accept", HTTP, || observed(())),
        Case::new("plimsoll/gate-metrics@reject", HTTP, || observed(Refuse)),
        Case::new("plimsoll/concurrency-metrics@accept", HTTP, || {
            observed(concurrency(1024))
        }),
        Case::new("plimsoll/adaptive-metrics@accept", HTTP, || {
            observed(ConcurrencyLimit::adaptive())
        }),
    ]
}

fn observed<P>(policy: P) -> Gate<Inner, P, Http> {
    let gate = Metrics::new().gate("bench");
    GateLayer::builder(policy)
        .observe(gate)
        .build()
        .layer(Inner::OK)
}
