//! `/health/load`.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
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

/// A signal that blocks while it is shut.
#[derive(Clone, Default)]
struct Valve {
    shut: Arc<(std::sync::Mutex<bool>, std::sync::Condvar)>,
    /// Readings that are blocked.
    inside: Arc<AtomicU64>,
}

impl Valve {
    fn shut(&self, shut: bool) {
        *self.shut.0.lock().unwrap() = shut;
        self.shut.1.notify_all();
    }

    fn pass(&self) {
        let mut shut = self.shut.0.lock().unwrap();
        while *shut {
            self.inside.store(1, Relaxed);
            shut = self.shut.1.wait(shut).unwrap();
        }
        self.inside.store(0, Relaxed);
    }
}

fn body(metrics: &Metrics) -> Value {
    serde_json::from_str(metrics.health().body()).unwrap()
}

#[test]
fn law_10_a_signal_that_blocks_delays_one_health_check_at_most() {
    let metrics = Metrics::new();
    let valve = Valve::default();
    let signal = valve.clone();
    metrics
        .load("stuck", move || {
            signal.pass();
            0.7
        })
        .unwrap();
    metrics.load("fine", || 0.2).unwrap();
    assert_eq!(body(&metrics)["signals"]["stuck"], 0.7);
    valve.shut(true);
    std::thread::scope(|scope| {
        let blocked = scope.spawn(|| metrics.health());
        while valve.inside.load(Relaxed) == 0 {
            std::thread::yield_now();
        }
        // Each other check has the value from before.
        let start = tokio::time::Instant::now();
        for _ in 0..100 {
            let body = body(&metrics);
            assert_eq!(
                (&body["signals"]["stuck"], &body["load"]),
                (&json!(0.7), &json!(0.7))
            );
            assert!(body["stale"].get("fine").is_none());
        }
        assert!(start.elapsed() < std::time::Duration::from_secs(2));
        while start.elapsed() < std::time::Duration::from_millis(60) {
            std::thread::yield_now();
        }
        valve.shut(false);
        blocked.join().unwrap();
    });
    // It was slow: checks leave it to scrapes and to the watcher.
    valve.shut(true);
    assert!(body(&metrics)["stale"]["stuck"].is_number());
    valve.shut(false);
    _ = metrics.prometheus();
    assert!(
        body(&metrics).get("stale").is_none(),
        "a fast reading of a scrape"
    );
}

/// A signal of 0.7 whose readings take as long as the cell states, in milliseconds, of the paused
/// clock. Returns how often it was read, too.
fn slow_signal(metrics: &Metrics) -> (Arc<AtomicU64>, Arc<AtomicU64>) {
    let (takes, reads) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (time, count) = (takes.clone(), reads.clone());
    let signal = move || {
        count.fetch_add(1, Relaxed);
        let time = std::time::Duration::from_millis(time.load(Relaxed));
        // The clock moves within this first poll.
        let mut advance = std::pin::pin!(tokio::time::advance(time));
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        _ = advance.as_mut().poll(&mut cx);
        0.7
    };
    metrics.load("slow", signal).unwrap();
    (takes, reads)
}

#[tokio::test(start_paused = true)]
async fn a_slow_signal_that_recovers_is_read_again() {
    let metrics = Metrics::new();
    let (takes, reads) = slow_signal(&metrics);
    takes.store(60, Relaxed);
    _ = metrics.health();
    takes.store(0, Relaxed);
    for _ in 0..29 {
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
        _ = metrics.health();
    }
    assert_eq!(reads.load(Relaxed), 1);
    tokio::time::advance(std::time::Duration::from_secs(1)).await;
    for _ in 0..3 {
        assert!(body(&metrics).get("stale").is_none());
    }
    assert_eq!(reads.load(Relaxed), 4, "after 30 s, and then each time");
}

#[tokio::test(start_paused = true)]
async fn a_reading_that_is_too_old_counts_as_idle() {
    let metrics = Metrics::new();
    metrics.overloaded_at(0.5).unwrap();
    let (takes, _) = slow_signal(&metrics);
    takes.store(60, Relaxed);
    assert_eq!(metrics.health().status(), 503);
    tokio::time::advance(std::time::Duration::from_millis(9_900)).await;
    assert_eq!(
        (
            metrics.health().status().as_u16(),
            &body(&metrics)["signals"]["slow"]
        ),
        (503, &json!(0.7))
    );
    tokio::time::advance(std::time::Duration::from_millis(100)).await;
    assert_eq!(metrics.health().status(), 200);
    assert_eq!(body(&metrics)["signals"]["slow"], Value::Null);
    assert_eq!(body(&metrics)["stale"]["slow"], 10.0);
    // The watcher reads slow signals.
    metrics.watcher().step(tokio::time::Instant::now());
    assert_eq!(metrics.health().status(), 503);
}

#[test]
fn a_name_of_a_signal_is_bounded() {
    let metrics = Metrics::new();
    for name in [String::new(), "x".repeat(129)] {
        let bytes = name.len();
        assert_eq!(
            metrics.load(name, || 0.0),
            Err(InvalidMetric::WatchedName { bytes })
        );
    }
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
