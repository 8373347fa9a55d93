//! Adapters to the libraries of others, read back through those libraries.

use std::{collections::BTreeMap, time::Duration};

use metrics_exporter_prometheus::PrometheusBuilder;
use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::metrics::{
    InMemoryMetricExporter, PeriodicReader, SdkMeterProvider,
    data::{AggregatedMetrics, MetricData, ResourceMetrics, ScopeMetrics},
};
use plimsoll_core::{Class, Kind, Observe, Outcome, Rejected, Rejection};
use plimsoll_metrics::Metrics;
use tokio::time::Instant;

use crate::reader;

/// A registry with a load, one gate, and one request of each end.
fn scripted() -> Metrics {
    let metrics = Metrics::new();
    let gate = metrics.gate("edge");
    gate.admitted("edge", Duration::ZERO);
    gate.admitted("edge", Duration::from_millis(3));
    let outcome = Outcome::new(Class::Success, Duration::from_millis(40), Instant::now());
    gate.finished("edge", &outcome);
    let rejection = Rejection::new("shed", Kind::Full);
    gate.rejected("edge", &Rejected::new(&rejection, None));
    metrics.load("store", || 0.25).unwrap();
    metrics
}

/// What all exporters must show, by name and labels of the Prometheus text.
const EXPECTED: [(&str, f64); 7] = [
    (r#"plimsoll_admitted_total{gate="edge"}"#, 2.0),
    (
        r#"plimsoll_finished_total{class="success",gate="edge"}"#,
        1.0,
    ),
    (
        r#"plimsoll_rejected_total{gate="edge",kind="full",policy="shed"}"#,
        1.0,
    ),
    (r#"plimsoll_in_flight{gate="edge"}"#, 1.0),
    (r#"plimsoll_load{signal="store"}"#, 0.25),
    (
        r#"plimsoll_latency_seconds_bucket{gate="edge",le="0.05"}"#,
        1.0,
    ),
    (
        r#"plimsoll_latency_seconds_bucket{gate="edge",le="0.025"}"#,
        0.0,
    ),
];

#[track_caller]
fn check(samples: &reader::Samples) {
    for (series, value) in EXPECTED {
        assert_eq!(samples.get(series), Some(&value), "{series}");
    }
}

#[tokio::test(start_paused = true)]
async fn both_text_formats_show_the_run() {
    let metrics = scripted();
    check(&reader::classic(metrics.prometheus().body()));
    check(&reader::openmetrics(metrics.openmetrics().body()));
}

#[tokio::test(start_paused = true)]
async fn a_registry_of_prometheus_client_can_hold_the_metrics() {
    let mut registry = prometheus_client::registry::Registry::default();
    registry.register_collector(Box::new(scripted()));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    let samples = reader::openmetrics(&text);
    check(&samples);
    let median = r#"plimsoll_recent_latency_seconds{gate="edge",percentile="50"}"#;
    assert!((0.040..0.0404).contains(&samples[median]));
}

#[tokio::test(start_paused = true)]
async fn instruments_of_opentelemetry_show_the_run() {
    let exporter = InMemoryMetricExporter::default();
    let provider = SdkMeterProvider::builder()
        .with_reader(PeriodicReader::builder(exporter.clone()).build())
        .build();
    scripted().register_opentelemetry(&provider.meter("plimsoll"));
    provider.force_flush().unwrap();

    let collected = exporter.get_finished_metrics().unwrap();
    let mut samples = BTreeMap::new();
    let mut units = BTreeMap::new();
    let scopes = collected.iter().flat_map(ResourceMetrics::scope_metrics);
    for metric in scopes.flat_map(ScopeMetrics::metrics) {
        units.insert(metric.name().to_owned(), metric.unit().to_owned());
        let AggregatedMetrics::F64(data) = metric.data() else {
            panic!("{} is not a float", metric.name());
        };
        let mut add = |suffix, attributes: Vec<&opentelemetry::KeyValue>, value| {
            let mut labels: Vec<_> = attributes
                .iter()
                .map(|label| format!("{}={:?}", label.key, label.value.as_str()))
                .collect();
            labels.sort_unstable();
            let series = format!("{}{suffix}{{{}}}", metric.name(), labels.join(","));
            samples.insert(series, value);
        };
        match data {
            MetricData::Gauge(gauge) => {
                for point in gauge.data_points() {
                    add("", point.attributes().collect(), point.value());
                }
            }
            MetricData::Sum(sum) => {
                assert!(sum.is_monotonic(), "{}", metric.name());
                let own = metric.name().ends_with("_bucket");
                let suffix = if own { "" } else { "_total" };
                for point in sum.data_points() {
                    add(suffix, point.attributes().collect(), point.value());
                }
            }
            other => panic!("{}: {other:?}", metric.name()),
        }
    }
    check(&samples);
    assert_eq!(units["plimsoll_latency_seconds_sum"], "s");
    assert_eq!(units["plimsoll_admitted"], "1");
}

#[tokio::test(start_paused = true)]
async fn a_collection_reads_the_registry_once() {
    let metrics = scripted();
    let reads = std::sync::Arc::new(plimsoll_core::policy::Counter::new());
    let counted = reads.clone();
    let read = move || {
        counted.add();
        1.0
    };
    metrics.gauge("app_size", "Size", &[], read).unwrap();
    let exporter = InMemoryMetricExporter::default();
    let provider = SdkMeterProvider::builder()
        .with_reader(PeriodicReader::builder(exporter).build())
        .build();
    metrics.register_opentelemetry(&provider.meter("plimsoll"));
    tokio::time::advance(Duration::from_secs(1)).await;
    let before = reads.get();
    provider.force_flush().unwrap();
    assert!(
        reads.get() - before <= 1,
        "{} readings",
        reads.get() - before
    );
}

#[tokio::test(start_paused = true)]
async fn a_recorder_of_the_metrics_facade_shows_the_run() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let metrics = scripted();
    metrics::with_local_recorder(&recorder, || {
        metrics.publish();
        metrics.publish();
    });
    let text = recorder.handle().render();
    let has = |series: &str| text.lines().any(|line| line == series);
    for line in [
        r#"plimsoll_admitted_total{gate="edge"} 2"#,
        r#"plimsoll_rejected_total{gate="edge",policy="shed",kind="full"} 1"#,
        r#"plimsoll_in_flight{gate="edge"} 1"#,
        r#"plimsoll_load{signal="store"} 0.25"#,
        r#"plimsoll_latency_seconds_bucket{gate="edge",le="0.05"} 1"#,
    ] {
        assert!(has(line), "{line} in {text}");
    }
}
