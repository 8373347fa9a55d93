//! `/health/load`.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use http::header;
use plimsoll_metrics::{InvalidMetric, Metrics};
use serde_json::{Value, json};

use crate::reader;

#[track_caller]
fn check(metrics: &Metrics, status: u16, body: &Value) {
    let health = metrics.health();
    assert_eq!(health.status(), status);
    assert_eq!(health.headers()[header::CONTENT_TYPE], "application/json");
    assert_eq!(health.headers()[header::CACHE_CONTROL], "no-store");
    assert_eq!(serde_json::from_str::<Value>(health.body()).unwrap(), *body);
}

#[test]
fn without_signals_the_service_is_idle() {
    let idle = json!({"load": 0.0, "status": "ok", "overloaded_at": 1.0, "signals": {}});
    check(&Metrics::new(), 200, &idle);
}

#[test]
fn the_status_is_503_above_the_limit_and_200_again_below() {
    let metrics = Metrics::new();
    let load = Arc::new(AtomicU64::new(0));
    let signal = load.clone();
    metrics
        .load("store", move || f64::from_bits(signal.load(Relaxed)))
        .unwrap();
    metrics.load("executor", || 0.1).unwrap();
    for (value, status, word) in [
        (0.42, 200, "ok"),
        (1.0, 200, "ok"),
        (1.01, 503, "overloaded"),
        (7.0, 503, "overloaded"),
        (0.9, 200, "ok"),
    ] {
        load.store(f64::to_bits(value), Relaxed);
        check(
            &metrics,
            status,
            &json!({"load": value, "status": word, "overloaded_at": 1.0, "signals": {"store": value, "executor": 0.1}}),
        );
    }
}

#[test]
fn the_limit_can_be_changed_at_run_time() {
    let metrics = Metrics::new();
    metrics.load("store", || 0.85).unwrap();
    assert_eq!(metrics.health().status(), 200);
    metrics.clone().overloaded_at(0.8).unwrap();
    assert_eq!(metrics.health().status(), 503);
    assert_eq!(metrics.overload_line(), 0.8);
    let samples = reader::openmetrics(metrics.openmetrics().body());
    assert_eq!(samples["plimsoll_overloaded_at{}"], 0.8);
    assert_eq!(samples[r#"plimsoll_load{signal="store"}"#], 0.85);
    for absurd in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let error = metrics.overloaded_at(absurd).unwrap_err().to_string();
        assert!(
            error.starts_with("overloaded_at must be finite and above 0"),
            "{error}"
        );
    }
    assert_eq!(metrics.overload_line(), 0.8);
}

#[test]
fn law_10_a_broken_signal_is_null_and_counts_as_idle() {
    let metrics = Metrics::new();
    metrics.load("nan", || f64::NAN).unwrap();
    metrics
        .load("panics", || panic!("the signal is broken"))
        .unwrap();
    metrics.load("negative", || -0.5).unwrap();
    let signals = json!({"nan": null, "panics": null, "negative": -0.5});
    check(
        &metrics,
        200,
        &json!({"load": 0.0, "status": "ok", "overloaded_at": 1.0, "signals": signals}),
    );
}

#[test]
fn an_infinite_load_is_overloaded_and_still_json() {
    let metrics = Metrics::new();
    metrics.load("stuck", || f64::INFINITY).unwrap();
    let signals = json!({"stuck": f64::MAX});
    let body =
        json!({"load": f64::MAX, "status": "overloaded", "overloaded_at": 1.0, "signals": signals});
    check(&metrics, 503, &body);
}

#[test]
fn names_are_escaped() {
    let metrics = Metrics::new();
    metrics.load("a\"b\n", || 0.5).unwrap();
    assert_eq!(
        metrics.load("a\"b\n", || 0.5),
        Err(InvalidMetric::Duplicate {
            name: "a\"b\n".into()
        })
    );
    let signals = json!({"a\"b\n": 0.5});
    check(
        &metrics,
        200,
        &json!({"load": 0.5, "status": "ok", "overloaded_at": 1.0, "signals": signals}),
    );
}
