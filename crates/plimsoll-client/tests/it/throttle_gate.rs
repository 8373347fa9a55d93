//! Adaptive throttling through real gates, in paused time: healthy callees get every request,
//! unhealthy ones are detected, and a recovered callee is used again soon.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use http::{Request, Response, StatusCode};
use http_body_util::{Empty, Full};
use plimsoll_client::{AdaptiveThrottle, AdaptiveThrottleHandle};
use plimsoll_core::{Criticality, Gate, GateLayer, Http, Rejection};
use tokio::time::{Instant, interval, sleep, timeout};
use tower::{Layer as _, ServiceExt as _, util::BoxCloneSyncService};

use crate::within_a_minute;

type Body = Empty<bytes::Bytes>;
type Callee = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;
type Client = Gate<Callee, AdaptiveThrottle, Http>;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A client whose callee answers `status` after 20 ms, or never while `hangs` is set.
fn client(status: StatusCode, hangs: &Arc<AtomicBool>) -> (Client, AdaptiveThrottleHandle) {
    fastrand::seed(3);
    let hangs = Arc::clone(hangs);
    let callee = tower::service_fn(move |_: Request<Body>| {
        let hangs = Arc::clone(&hangs);
        async move {
            sleep(ms(20)).await;
            if hangs.load(Relaxed) {
                std::future::pending::<()>().await;
            }
            let mut response = Response::new(Body::new());
            *response.status_mut() = status;
            Ok(response)
        }
    });
    let throttle = AdaptiveThrottle::new();
    let handle = throttle.handle();
    let gate = GateLayer::new(throttle).layer(BoxCloneSyncService::new(callee));
    (gate, handle)
}

fn healthy() -> (Client, AdaptiveThrottleHandle) {
    client(StatusCode::OK, &Arc::default())
}

/// Whether the throttle rejected a call.
async fn rejected(client: &Client) -> bool {
    let answer = client.clone().oneshot(Request::new(Body::new())).await;
    let answer = answer.unwrap();
    answer.extensions().get::<Rejection>().is_some()
}

/// Makes calls at a steady rate, and returns how many were rejected. Callers cancel after
/// `patience`.
async fn steady(client: &Client, every: Duration, calls: u32, patience: Duration) -> usize {
    let mut ticks = interval(every);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..calls {
        ticks.tick().await;
        let client = client.clone();
        tasks.spawn(async move { timeout(patience, rejected(&client)).await });
    }
    let ends = within_a_minute(tasks.join_all()).await;
    ends.into_iter().filter(|end| *end == Ok(true)).count()
}

#[tokio::test(start_paused = true)]
async fn the_first_two_bursts_to_a_healthy_callee_are_sent() {
    let (client, handle) = healthy();
    let burst = || {
        let client = client.clone();
        tokio::spawn(async move { rejected(&client).await })
    };
    let first: Vec<_> = (0..1000).map(|_| burst()).collect();
    sleep(ms(1)).await;
    let next: Vec<_> = (0..1000).map(|_| burst()).collect();
    for call in first.into_iter().chain(next) {
        assert!(!within_a_minute(call).await.unwrap());
    }
    assert_eq!(handle.shed(Criticality::Critical), 0);
    let now = Instant::now();
    assert_eq!(handle.requests(Criticality::Critical, now), 2000);
    assert_eq!(handle.accepts(Criticality::Critical, now), 2000);
}

/// Adds 40 callers, each of which cancels after 5 ms and calls again at once.
async fn with_callers_that_leave(every: Duration, calls: u32) -> usize {
    let (client, handle) = healthy();
    let leavers: Vec<_> = (0..40)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move {
                loop {
                    _ = timeout(ms(5), rejected(&client)).await;
                    sleep(ms(1)).await;
                }
            })
        })
        .collect();
    let rejected = steady(&client, every, calls, Duration::MAX).await;
    leavers.iter().for_each(tokio::task::JoinHandle::abort);
    assert_eq!(
        handle.shed(Criticality::Critical),
        0,
        "cancelled calls are sent, too"
    );
    rejected
}

#[tokio::test(start_paused = true)]
async fn callers_that_cancel_early_cause_no_rejection() {
    assert_eq!(with_callers_that_leave(ms(1), 2_000).await, 0);
}

#[tokio::test(start_paused = true)]
async fn callers_that_cancel_early_cause_no_rejection_with_rare_answers() {
    assert_eq!(with_callers_that_leave(ms(250), 10).await, 0);
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_overload_is_an_accept() {
    for status in [StatusCode::NOT_FOUND, StatusCode::BAD_REQUEST] {
        let (client, handle) = client(status, &Arc::default());
        assert_eq!(steady(&client, ms(1), 1000, Duration::MAX).await, 0);
        assert_eq!(
            handle.accepts(Criticality::Critical, Instant::now()),
            1000,
            "{status}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_whose_body_is_dropped_is_an_accept() {
    // A gRPC call has no status yet: it is cancelled, but the callee had accepted it.
    for content_type in ["text/plain", "application/grpc"] {
        let throttle = AdaptiveThrottle::new();
        let handle = throttle.handle();
        let callee = tower::service_fn(move |_: Request<Body>| async move {
            sleep(ms(200)).await;
            let response = Response::builder().header("content-type", content_type);
            Ok::<_, Infallible>(response.body(Full::<bytes::Bytes>::from("data")).unwrap())
        });
        let gate = GateLayer::new(throttle).layer(callee);
        for _ in 0..20 {
            let answer = gate.clone().oneshot(Request::new(Body::new())).await;
            drop(answer.unwrap());
        }
        let now = Instant::now();
        let counts = [
            handle.requests(Criticality::Critical, now),
            handle.accepts(Criticality::Critical, now),
        ];
        assert_eq!(counts, [20, 20], "{content_type}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hung_callee_is_detected_from_cancellations_alone() {
    for (healthy_calls, patience) in [(500, ms(1000)), (500, ms(50)), (0, ms(1000)), (0, ms(100))] {
        let hangs = Arc::new(AtomicBool::new(false));
        let (client, handle) = client(StatusCode::OK, &hangs);
        steady(&client, ms(10), healthy_calls, patience).await;
        assert_eq!(handle.shed(Criticality::Critical), 0);
        hangs.store(true, Relaxed);
        steady(&client, ms(10), 2_000, patience).await;
        let rejected = steady(&client, ms(10), 1_000, patience).await;
        assert!(
            rejected > 550,
            "{rejected} of 1,000 rejected after {healthy_calls} answers, timeout {patience:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn after_five_minutes_of_outage_all_requests_are_sent_within_half_a_minute() {
    let hangs = Arc::new(AtomicBool::new(true));
    let (client, _) = client(StatusCode::OK, &hangs);
    let during = steady(&client, ms(10), 30_000, ms(200)).await;
    assert!((22_000..25_000).contains(&during), "{during} of 30,000");
    hangs.store(false, Relaxed);
    let first = steady(&client, ms(10), 3_000, ms(200)).await;
    let later = steady(&client, ms(10), 3_000, ms(200)).await;
    assert!(later < 30, "{later} of 3,000 after {first} in 30 s");
}
