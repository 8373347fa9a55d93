//! Gates with metrics, each a case of `plimsoll` with an observer, and layers of others that
//! measure requests.

use std::sync::LazyLock;

use axum_prometheus::PrometheusMetricLayer;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use plimsoll_concurrency::ConcurrencyLimit;
use plimsoll_core::{Gate, GateLayer, Http};
use plimsoll_metrics::Metrics;
use tower::Layer;
use tower_http::trace::TraceLayer;

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
        Case::new("axum-prometheus/layer@accept", HTTP, || {
            LazyLock::force(&RECORDER);
            PrometheusMetricLayer::new().layer(Inner::OK)
        }),
        // Without a subscriber: the least that it costs.
        Case::new("tower-http/trace@accept", HTTP, || {
            TraceLayer::new_for_http().layer(Inner::OK)
        }),
    ]
}

/// The process-wide recorder of the crate `metrics`, with the buckets of `axum-prometheus`.
pub static RECORDER: LazyLock<PrometheusHandle> = LazyLock::new(|| {
    let builder =
        PrometheusBuilder::new().set_buckets(axum_prometheus::utils::SECONDS_DURATION_BUCKETS);
    let recorder = builder.expect("the buckets are not empty").build_recorder();
    let handle = recorder.handle();
    // Fails if there is one already: then nothing is recorded here, and the figures show it.
    _ = metrics::set_global_recorder(recorder);
    handle
});

fn observed<P>(policy: P) -> Gate<Inner, P, Http> {
    let gate = Metrics::new().gate("bench");
    GateLayer::builder(policy)
        .observe(gate)
        .build()
        .layer(Inner::OK)
}
