//! The exact series that real gates report.

use std::time::Duration;

use futures_util::FutureExt;
use http::StatusCode;
use plimsoll_core::{
    ByHeader, Class, ClientIp, GateLayer, Kind, Observe, Outcome, Rejected, Rejection,
    key::PeerAddr,
};
use plimsoll_metrics::Metrics;
use tokio::time::{Instant, advance};
use tower::{Layer as _, ServiceExt as _};

use crate::{
    reader::{self, Samples},
    support::{Play, millis, run},
};

/// The series of `text` that are not buckets, as lines.
fn shown(samples: &Samples) -> Vec<String> {
    let shown = samples
        .iter()
        .filter(|(series, _)| !series.contains("_bucket"));
    shown
        .map(|(series, value)| format!("{series} {value}"))
        .collect()
}

#[tokio::test]
async fn an_empty_registry_is_valid_text() {
    let metrics = Metrics::new();
    let expected = [
        "plimsoll_failed_readings_total{} 0",
        "plimsoll_missed_events_total{} 0",
        "plimsoll_overloaded_at{} 1",
        "plimsoll_shortened_names_total{} 0",
    ];
    assert_eq!(
        shown(&reader::openmetrics(metrics.openmetrics().body())),
        expected
    );
    assert_eq!(
        shown(&reader::classic(metrics.prometheus().body())),
        expected
    );
}

#[tokio::test]
async fn known_series_are_exported_at_zero_before_the_first_request() {
    let metrics = Metrics::new();
    _ = metrics
        .gate("edge")
        .expecting("rate-limit", Kind::OverQuota);
    assert_eq!(
        shown(&reader::openmetrics(metrics.openmetrics().body())),
        [
            r#"plimsoll_abandoned_total{gate="edge"} 0"#,
            r#"plimsoll_admitted_total{gate="edge"} 0"#,
            r#"plimsoll_body_dropped_total{gate="edge"} 0"#,
            "plimsoll_failed_readings_total{} 0",
            r#"plimsoll_finished_total{class="cancelled",gate="edge"} 0"#,
            r#"plimsoll_finished_total{class="failure",gate="edge"} 0"#,
            r#"plimsoll_finished_total{class="ignored",gate="edge"} 0"#,
            r#"plimsoll_finished_total{class="overloaded",gate="edge"} 0"#,
            r#"plimsoll_finished_total{class="rejected",gate="edge"} 0"#,
            r#"plimsoll_finished_total{class="success",gate="edge"} 0"#,
            r#"plimsoll_in_flight{gate="edge"} 0"#,
            r#"plimsoll_latency_seconds_count{gate="edge"} 0"#,
            r#"plimsoll_latency_seconds_sum{gate="edge"} 0"#,
            "plimsoll_missed_events_total{} 0",
            r#"plimsoll_missing_keys_total{gate="edge"} 0"#,
            "plimsoll_overloaded_at{} 1",
            r#"plimsoll_recent_latency_seconds{gate="edge",quantile="0.5"} NaN"#,
            r#"plimsoll_recent_latency_seconds{gate="edge",quantile="0.99"} NaN"#,
            r#"plimsoll_recent_latency_seconds{gate="edge",quantile="0.999"} NaN"#,
            r#"plimsoll_recent_wait_seconds{gate="edge",quantile="0.5"} NaN"#,
            r#"plimsoll_recent_wait_seconds{gate="edge",quantile="0.99"} NaN"#,
            r#"plimsoll_recent_wait_seconds{gate="edge",quantile="0.999"} NaN"#,
            r#"plimsoll_rejected_total{gate="edge",kind="over-quota",policy="rate-limit"} 0"#,
            "plimsoll_shortened_names_total{} 0",
            r#"plimsoll_wait_seconds_count{gate="edge"} 0"#,
            r#"plimsoll_wait_seconds_sum{gate="edge"} 0"#,
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_scripted_run_exports_exactly_these_series() {
    let metrics = Metrics::new();
    let gate = metrics.gate("store");

    assert_eq!(
        run(&gate, Play::Answer(200, millis(5))).await,
        StatusCode::OK
    );
    run(&gate, Play::Answer(200, millis(100))).await;
    run(&gate, Play::Answer(500, millis(250))).await;
    run(&gate, Play::Answer(404, millis(1))).await;
    run(&gate, Play::Answer(503, millis(0))).await;
    let refused = run(&gate, Play::Reject("rate-limit", Kind::OverQuota)).await;
    assert_eq!(refused, StatusCode::TOO_MANY_REQUESTS);
    run(&gate, Play::Reject("concurrency", Kind::Full)).await;
    run(&gate, Play::Queue(millis(40))).await;
    run(
        &gate,
        Play::QueueThenReject(millis(60), "concurrency", Kind::Full),
    )
    .await;
    // One is cancelled while it queues, one while it runs, one is still running.
    let mut queued = run(&gate, Play::Queue(millis(1000)));
    assert_eq!((&mut queued).now_or_never(), None);
    advance(millis(20)).await;
    drop(queued);
    let mut cancelled = run(&gate, Play::Hang);
    assert_eq!((&mut cancelled).now_or_never(), None);
    drop(cancelled);
    let mut running = run(&gate, Play::Hang);
    assert_eq!((&mut running).now_or_never(), None);

    let open = reader::openmetrics(metrics.openmetrics().body());
    let mut expected: Vec<_> = [
        r#"plimsoll_abandoned_total{gate="store"} 1"#,
        r#"plimsoll_admitted_total{gate="store"} 8"#,
        r#"plimsoll_body_dropped_total{gate="store"} 0"#,
        "plimsoll_failed_readings_total{} 0",
        r#"plimsoll_finished_total{class="cancelled",gate="store"} 1"#,
        r#"plimsoll_finished_total{class="failure",gate="store"} 1"#,
        r#"plimsoll_finished_total{class="ignored",gate="store"} 1"#,
        r#"plimsoll_finished_total{class="overloaded",gate="store"} 1"#,
        r#"plimsoll_finished_total{class="rejected",gate="store"} 0"#,
        r#"plimsoll_finished_total{class="success",gate="store"} 3"#,
        r#"plimsoll_in_flight{gate="store"} 1"#,
        r#"plimsoll_latency_seconds_count{gate="store"} 5"#,
        r#"plimsoll_latency_seconds_sum{gate="store"} 0.356"#,
        "plimsoll_missed_events_total{} 0",
        r#"plimsoll_missing_keys_total{gate="store"} 0"#,
        "plimsoll_overloaded_at{} 1",
        r#"plimsoll_rejected_total{gate="store",kind="full",policy="concurrency"} 2"#,
        r#"plimsoll_rejected_total{gate="store",kind="over-quota",policy="rate-limit"} 1"#,
        "plimsoll_shortened_names_total{} 0",
        r#"plimsoll_wait_seconds_count{gate="store"} 2"#,
        r#"plimsoll_wait_seconds_sum{gate="store"} 0.06"#,
    ]
    .map(String::from)
    .into();
    let (recent, mut rest): (Vec<_>, Vec<_>) = shown(&open)
        .into_iter()
        .partition(|series| series.contains("_recent_"));
    rest.sort_unstable();
    expected.sort_unstable();
    assert_eq!(rest, expected);
    assert_eq!(recent.len(), 6);

    // The queued request ran in no time.
    let at = |series: &str| open[series];
    let bucket = |le: &str| {
        at(&format!(
            r#"plimsoll_latency_seconds_bucket{{gate="store",le="{le}"}}"#
        ))
    };
    assert_eq!(
        (bucket("0.0005"), bucket("0.001"), bucket("0.0025")),
        (1.0, 2.0, 2.0)
    );
    assert_eq!(
        (bucket("0.005"), bucket("0.075"), bucket("0.1")),
        (3.0, 3.0, 4.0)
    );
    assert_eq!(
        (bucket("0.25"), bucket("10.0"), bucket("+Inf")),
        (5.0, 5.0, 5.0)
    );
    let p99 = at(r#"plimsoll_recent_latency_seconds{gate="store",quantile="0.99"}"#);
    assert!((0.25..0.252).contains(&p99), "{p99}");
    let p50 = at(r#"plimsoll_recent_wait_seconds{gate="store",quantile="0.5"}"#);
    assert!((0.02..0.0202).contains(&p50), "{p50}");

    // The classic text has the same samples.
    let classic = reader::classic(metrics.prometheus().body());
    assert_eq!(format!("{classic:?}"), format!("{open:?}"));

    drop(running);
    assert_eq!(gate.counts().in_flight(), 0);
}

#[tokio::test]
async fn gates_of_one_name_share_their_counters() {
    let metrics = Metrics::new();
    let (one, two) = (metrics.gate("edge"), metrics.clone().gate("edge"));
    one.admitted("edge", Duration::ZERO);
    assert_eq!(two.counts().admitted, 1);
    assert_eq!(metrics.gates().len(), 1);
}

#[tokio::test]
async fn gates_beyond_the_bound_are_counted_as_other() {
    let metrics = Metrics::new();
    for i in 0..70 {
        metrics
            .gate(format!("gate-{i}"))
            .admitted("edge", Duration::ZERO);
    }
    metrics.gate("other").admitted("edge", Duration::ZERO);
    let samples = reader::openmetrics(metrics.openmetrics().body());
    assert_eq!(samples[r#"plimsoll_admitted_total{gate="other"}"#], 7.0);
    assert_eq!(samples[r#"plimsoll_admitted_total{gate="gate-63"}"#], 1.0);
    assert_eq!(metrics.gates().len(), 65);
}

#[tokio::test]
async fn names_with_special_characters_are_escaped() {
    let metrics = Metrics::new();
    metrics
        .gate("a\"b\\c\nd, {é}")
        .admitted("edge", Duration::ZERO);
    for samples in [
        reader::openmetrics(metrics.openmetrics().body()),
        reader::classic(metrics.prometheus().body()),
    ] {
        assert_eq!(
            samples[r#"plimsoll_admitted_total{gate="a\"b\\c\nd, {é}"}"#],
            1.0
        );
    }
}

#[test]
fn threads_lose_no_event_and_a_scrape_never_has_more_ends_than_starts() {
    const EACH: u64 = 20_000;
    let metrics = Metrics::new();
    let gate = metrics.gate("edge");
    let outcome = |class| Outcome::new(class, Duration::from_micros(300), Instant::now());
    std::thread::scope(|scope| {
        for class in [
            Class::Success,
            Class::Failure,
            Class::Overloaded,
            Class::Cancelled,
        ] {
            let gate = gate.clone();
            scope.spawn(move || {
                let outcome = outcome(class);
                for _ in 0..EACH {
                    gate.admitted("edge", Duration::from_nanos(7));
                    gate.finished("edge", &outcome);
                    gate.rejected(
                        "edge",
                        &Rejected::new(&Rejection::new("shed", Kind::Full), None),
                    );
                    gate.abandoned("edge", Duration::from_nanos(9));
                }
            });
        }
        for _ in 0..200 {
            let counts = gate.counts();
            let ended: u64 = [
                Class::Success,
                Class::Failure,
                Class::Overloaded,
                Class::Cancelled,
            ]
            .map(|class| counts.finished(class))
            .iter()
            .sum();
            assert!(ended <= counts.admitted, "{counts:?}");
            reader::openmetrics(metrics.openmetrics().body());
        }
    });
    let counts = gate.counts();
    assert_eq!(
        (counts.admitted, counts.abandoned, counts.rejected()),
        (4 * EACH, 4 * EACH, 4 * EACH)
    );
    assert_eq!(counts.in_flight(), 0);
    assert_eq!(
        (gate.latency().count(), gate.waits().count()),
        (2 * EACH, 8 * EACH)
    );
    assert_eq!(gate.latency().sum(), Duration::from_micros(300) * 40_000);
    assert_eq!(gate.waits().sum(), Duration::from_nanos(16) * 80_000);
}

#[tokio::test]
async fn another_registry_can_hold_the_metrics() {
    let metrics = Metrics::new();
    metrics.gate("edge").admitted("edge", Duration::ZERO);
    let mut registry = prometheus_client::registry::Registry::with_prefix("ads");
    registry.register_collector(Box::new(metrics));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    let samples = reader::openmetrics(&text);
    assert_eq!(samples[r#"ads_plimsoll_admitted_total{gate="edge"}"#], 1.0);
}

#[test]
fn law_06_no_event_allocates() {
    let gate = Metrics::new().gate("edge");
    let outcome = Outcome::new(Class::Success, Duration::from_micros(300), Instant::now());
    let counted = allocation_counter::measure(|| {
        for policy in ["rate-limit", "concurrency", "load-shed"] {
            gate.admitted("edge", Duration::ZERO);
            gate.admitted("edge", Duration::from_micros(20));
            gate.finished("edge", &outcome);
            gate.rejected(
                "edge",
                &Rejected::new(&Rejection::new(policy, Kind::Full), None),
            );
            gate.abandoned("edge", Duration::from_micros(90));
            drop(gate.clone());
        }
    });
    assert_eq!(counted.count_total, 0);
    assert_eq!(gate.counts().rejected(), 3);
}

#[tokio::test(start_paused = true)]
async fn requests_without_a_key_are_counted_for_each_gate() {
    let metrics = Metrics::new();
    let by_ip = ByHeader::untrusted(ClientIp::peer());
    let layer = GateLayer::builder(by_ip)
        .observe(metrics.gate("edge"))
        .build();
    _ = metrics.gate("store");
    let service = layer.layer(tower::service_fn(async |_: http::Request<String>| {
        Ok::<_, std::convert::Infallible>(http::Response::new(String::new()))
    }));
    for peer in [None, Some(PeerAddr(([192, 0, 2, 1], 1).into())), None] {
        let mut req = http::Request::new(String::new());
        if let Some(peer) = peer {
            req.extensions_mut().insert(peer);
        }
        service.clone().oneshot(req).await.unwrap();
    }
    assert_eq!(metrics.gate("edge").counts().missing_keys, 2);
    let text = reader::classic(metrics.prometheus().body());
    assert_eq!(text[r#"plimsoll_missing_keys_total{gate="edge"}"#], 2.0);
    assert_eq!(text[r#"plimsoll_missing_keys_total{gate="store"}"#], 0.0);
}
