//! Retry hints: their values, and how they are written.

use std::{collections::BTreeMap, time::Duration};

use http::{HeaderMap, Request};
use plimsoll_core::{Http, Kind, Rejection};
use tonic_types::StatusExt as _;

use crate::wire::{answer, grpc_request, text};

async fn http_headers(rejection: Rejection) -> HeaderMap {
    let (head, _) = answer(Http::new(), rejection, Request::new(())).await;
    head.headers().clone()
}

/// The headers of a gRPC rejection, for a caller with this `grpc-timeout`.
async fn grpc_headers(rejection: Rejection, timeout: Option<&str>) -> HeaderMap {
    let mut req = grpc_request();
    if let Some(timeout) = timeout {
        req.headers_mut()
            .insert("grpc-timeout", timeout.parse().unwrap());
    }
    answer(Http::new(), rejection, req)
        .await
        .0
        .headers()
        .clone()
}

async fn retry_after(rejection: Rejection) -> Duration {
    let headers = http_headers(rejection).await;
    let seconds = text(&headers, "retry-after").expect("retry-after");
    Duration::from_secs(seconds.parse().expect("whole seconds"))
}

async fn pushback(rejection: Rejection) -> Duration {
    let headers = grpc_headers(rejection, None).await;
    let millis = text(&headers, "grpc-retry-pushback-ms").expect("pushback");
    Duration::from_millis(millis.parse().expect("milliseconds"))
}

fn full(estimate: Duration) -> Rejection {
    Rejection::new("p", Kind::Full).with_retry_after(estimate)
}

#[tokio::test]
async fn retry_after_is_never_zero_and_never_early() {
    for (wait, seconds) in [(0, 1), (1, 1), (999, 1), (1000, 1), (1001, 2), (59_999, 60)] {
        for kind in [Kind::OverQuota, Kind::CircuitOpen] {
            let rejection = Rejection::new("r", kind).with_retry_after(Duration::from_millis(wait));
            let written = retry_after(rejection).await;
            assert_eq!(written, Duration::from_secs(seconds), "{kind:?} {wait} ms");
        }
    }
    for _ in 0..100 {
        assert!(retry_after(full(Duration::ZERO)).await >= Duration::from_secs(1));
    }
}

/// Returns the retries in the fullest second, relative to the mean second between the first and the
/// last retry.
fn peak_over_mean(returns: &[Duration]) -> f64 {
    let mut by_second = BTreeMap::<u64, u32>::new();
    for at in returns {
        *by_second.entry(at.as_secs()).or_default() += 1;
    }
    let (first, last) = (by_second.keys().min(), by_second.keys().max());
    let seconds = last.unwrap() - first.unwrap() + 1;
    assert!(
        seconds > 1,
        "all retries fall into one second: {by_second:?}"
    );
    let peak = *by_second.values().max().unwrap();
    f64::from(peak) * seconds as f64 / returns.len() as f64
}

#[tokio::test]
async fn retries_after_a_full_server_are_spread_over_seconds() {
    for millis in [
        1, 50, 250, 500, 999, 1000, 1001, 1500, 1999, 2000, 2600, 5000, 10_000, 60_000, 300_000,
    ] {
        let estimate = Duration::from_millis(millis);
        let (mut over_http, mut over_grpc) = (Vec::new(), Vec::new());
        for _ in 0..1000 {
            over_http.push(retry_after(full(estimate)).await);
            over_grpc.push(pushback(full(estimate)).await);
        }
        let whole = Duration::from_secs(millis.div_ceil(1000));
        let least = Duration::from_secs(2);
        let (second, milli) = (Duration::from_secs(1), Duration::from_millis(1));
        for (returns, first, unit) in [(over_http, whole, second), (over_grpc, estimate, milli)] {
            let stretch = first.max(least);
            let last = first + stretch;
            assert!(
                returns.iter().all(|at| (first..last).contains(at)),
                "{estimate:?}: from {first:?} to {last:?}"
            );
            let latest = *returns.iter().max().unwrap();
            assert!(
                latest + unit >= first + stretch.mul_f64(0.98),
                "{estimate:?}: {latest:?} is well before {last:?}"
            );
            let ratio = peak_over_mean(&returns);
            assert!(ratio <= 1.6, "{estimate:?}: {ratio}");
        }
    }
}

#[tokio::test]
async fn an_unlimited_estimate_is_still_a_hint() {
    let rejection = full(Duration::MAX);
    assert_eq!(retry_after(rejection).await, Duration::from_secs(u64::MAX));
    let most = Duration::from_millis(i32::MAX as u64);
    assert_eq!(
        pushback(rejection).await,
        most,
        "the most that gRPC clients can read"
    );
}

#[tokio::test]
async fn grpc_pushback_equals_retry_info() {
    for kind in [Kind::OverQuota, Kind::CircuitOpen, Kind::Full] {
        let rejection = Rejection::new("p", kind).with_retry_after(Duration::from_millis(1500));
        let headers = grpc_headers(rejection, None).await;
        let millis = text(&headers, "grpc-retry-pushback-ms").unwrap();
        let status = tonic::Status::from_header_map(&headers).unwrap();
        let delay = status
            .get_details_retry_info()
            .and_then(|info| info.retry_delay);
        let pushback = Duration::from_millis(millis.parse().unwrap());
        assert_eq!(delay, Some(pushback), "{kind:?}");
    }
}

#[tokio::test]
async fn a_full_server_or_open_circuit_without_a_hint_leaves_retries_to_the_client() {
    for kind in [Kind::Full, Kind::CircuitOpen] {
        for timeout in [None, Some("100m")] {
            let headers = grpc_headers(Rejection::new("p", kind), timeout).await;
            assert!(!headers.contains_key("grpc-retry-pushback-ms"), "{kind:?}");
            assert!(!headers.contains_key("grpc-status-details-bin"), "{kind:?}");
        }
        let headers = http_headers(Rejection::new("p", kind)).await;
        assert!(!headers.contains_key("retry-after"), "{kind:?}");
    }
    for kind in [Kind::OverQuota, Kind::Deadline, Kind::Skipped] {
        let headers = grpc_headers(Rejection::new("p", kind), None).await;
        assert_eq!(text(&headers, "grpc-retry-pushback-ms"), Some("-1"));
    }
}

#[tokio::test]
async fn a_grpc_caller_whose_deadline_comes_first_must_not_retry() {
    for (wait, timeout, expected) in [
        (1500, None, "1500"),
        (1500, Some("1501m"), "1500"),
        (1500, Some("2S"), "1500"),
        (1500, Some("1500m"), "-1"),
        (1500, Some("1S"), "-1"),
        (1500, Some("0S"), "-1"),
        (1500, Some("1H"), "1500"),
        (1500, Some("soon"), "1500"),
        (0, Some("1m"), "0"),
    ] {
        let rejection =
            Rejection::new("p", Kind::OverQuota).with_retry_after(Duration::from_millis(wait));
        let headers = grpc_headers(rejection, timeout).await;
        let pushback = text(&headers, "grpc-retry-pushback-ms");
        assert_eq!(pushback, Some(expected), "{wait} ms within {timeout:?}");
        // The application can still read the wait.
        let status = tonic::Status::from_header_map(&headers).unwrap();
        assert!(status.get_details_retry_info().is_some());
    }
    // The spread value decides, not the estimate that it is computed from.
    let mut forbidden = 0;
    for _ in 0..100 {
        let headers = grpc_headers(full(Duration::from_millis(500)), Some("1500m")).await;
        match text(&headers, "grpc-retry-pushback-ms").unwrap() {
            "-1" => forbidden += 1,
            millis => assert!((500..1500).contains(&millis.parse().unwrap()), "{millis}"),
        }
    }
    assert!((30..70).contains(&forbidden), "{forbidden}");
}

#[tokio::test]
async fn an_estimate_is_spread_for_every_kind_and_an_exact_wait_is_not() {
    let second = Duration::from_secs(1);
    for kind in [Kind::OverQuota, Kind::CircuitOpen] {
        let exact = Rejection::new("kit", kind).with_retry_after(second);
        let about = Rejection::new("kit", kind).with_estimated_retry_after(second);
        let (mut early, mut late) = (0, 0);
        for _ in 0..100 {
            assert_eq!(retry_after(exact).await, second);
            match retry_after(about).await.as_secs() {
                1 => early += 1,
                2 => late += 1,
                other => panic!("{kind:?}: {other} s"),
            }
        }
        assert!(early.min(late) > 40, "{kind:?}: {early} and {late}");
    }
}
