//! Layers of others that measure requests. They are not among the library's cases, since the
//! compiler inlines those in another way when there are more of them.

use std::sync::LazyLock;

use axum_prometheus::{PrometheusMetricLayer, utils::SECONDS_DURATION_BUCKETS};
use benches::{
    cases::bare::{Bare, HTTP},
    driver::{Driver, polled},
};
use bytes::Bytes;
use http_body_util::Full;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tower::Layer;
use tower_http::trace::TraceLayer;

/// The process-wide recorder of the crate `metrics`, with the buckets of `axum-prometheus`.
pub(super) static RECORDER: LazyLock<PrometheusHandle> = LazyLock::new(|| {
    let builder = PrometheusBuilder::new().set_buckets(SECONDS_DURATION_BUCKETS);
    let recorder = builder.expect("the buckets are not empty").build_recorder();
    let handle = recorder.handle();
    // Fails if there is one already: then nothing is recorded here, and the figures show it.
    _ = metrics::set_global_recorder(recorder);
    handle
});

/// The layers, each with a driver for each of two threads.
pub(super) fn all() -> Vec<(&'static str, Vec<Driver>)> {
    LazyLock::force(&RECORDER);
    let inner = Bare::<Full<Bytes>>::OK;
    let prometheus = PrometheusMetricLayer::new().layer(inner.clone());
    let trace = TraceLayer::new_for_http().layer(inner);
    vec![
        (
            "service: axum-prometheus",
            vec![
                polled(prometheus.clone(), HTTP.request),
                polled(prometheus, HTTP.request),
            ],
        ),
        (
            // The least that it costs.
            "service: tower-http TraceLayer, without a subscriber",
            vec![
                polled(trace.clone(), HTTP.request),
                polled(trace, HTTP.request),
            ],
        ),
    ]
}
