//! Second attempts, on a paused clock.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use plimsoll_client::{HedgeBuilder, HedgeLayer, InvalidHedge, RetryBudget, RetryLayer};
use tokio::time::Instant;
use tower::{Layer as _, ServiceExt as _};

use crate::{
    callee::{Answer, Callee, status},
    ms,
};

fn get() -> Request<Full<Bytes>> {
    Request::new(Full::default())
}

/// After 100 calls that took 10 ms.
async fn measured(builder: HedgeBuilder) -> HedgeLayer {
    let layer = builder.build().unwrap();
    let callee = Callee::new(vec![Answer::Late(ms(10)); 100]);
    for _ in 0..100 {
        layer.layer(callee.service()).oneshot(get()).await.unwrap();
    }
    let delay = layer.handle().delay().unwrap();
    assert!(
        delay >= ms(10) && delay <= Duration::from_micros(10_700),
        "{delay:?}"
    );
    assert_eq!(layer.handle().hedges(), 0);
    layer
}

async fn call(
    layer: &HedgeLayer,
    callee: &Callee,
    request: Request<Full<Bytes>>,
) -> (u16, Duration) {
    let start = Instant::now();
    let answer = layer
        .layer(callee.service())
        .oneshot(request)
        .await
        .unwrap();
    (answer.status().as_u16(), start.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_late_call_is_sent_again_after_the_measured_percentile() {
    let layer = measured(HedgeLayer::builder()).await;
    let callee = Callee::new([Answer::Late(ms(1000)), Answer::Late(ms(10))]);
    let (status, took) = call(&layer, &callee, get()).await;
    assert_eq!(status, 200);
    assert!(took >= ms(20) && took <= ms(23), "{took:?}");
    assert_eq!((layer.handle().hedges(), layer.handle().won()), (1, 1));
    // The first attempt may still win.
    let callee = Callee::new([Answer::Late(ms(15)), Answer::Late(ms(1000))]);
    let (_, took) = call(&layer, &callee, get()).await;
    assert!(took >= ms(15) && took <= ms(17), "{took:?}");
    assert_eq!((layer.handle().hedges(), layer.handle().won()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_hedged_before_enough_calls_were_measured() {
    let layer = HedgeLayer::builder().build().unwrap();
    let callee = Callee::new(vec![Answer::Late(ms(1000)); 19]);
    for _ in 0..19 {
        call(&layer, &callee, get()).await;
    }
    assert_eq!((layer.handle().hedges(), layer.handle().delay()), (0, None));
}

#[tokio::test(start_paused = true)]
async fn the_attempt_that_loses_is_cancelled() {
    struct Running(Arc<()>);
    let layer = measured(HedgeLayer::builder()).await;
    let running = Arc::new(());
    let counted = Arc::clone(&running);
    let callee = tower::service_fn(
        move |_: Request<plimsoll_client::ReplayBody<Full<Bytes>>>| {
            let guard = Running(Arc::clone(&counted));
            async move {
                let is_first = Arc::strong_count(&guard.0) == 3;
                tokio::time::sleep(ms(if is_first { 5000 } else { 10 })).await;
                Ok::<_, std::convert::Infallible>(http::Response::new(Full::<Bytes>::default()))
            }
        },
    );
    layer.layer(callee).oneshot(get()).await.unwrap();
    assert_eq!(layer.handle().won(), 1);
    assert_eq!(
        Arc::strong_count(&running),
        1,
        "the callee and both attempts are dropped"
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_not_safe_to_repeat_is_sent_once() {
    let layer = measured(HedgeLayer::builder()).await;
    let callee = Callee::new([Answer::Late(ms(1000))]);
    let mut post = get();
    *post.method_mut() = Method::POST;
    assert_eq!(call(&layer, &callee, post).await, (200, ms(1000)));
    assert_eq!(callee.attempts(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_spent_budget_suppresses_hedges_and_no_call_fails() {
    let budget = RetryBudget::successes(0.0001, 1).unwrap();
    let layer = measured(HedgeLayer::builder().budget(budget.clone())).await;
    for (hedges, took) in [(1, ms(23)), (1, ms(1001))] {
        let callee = Callee::new([Answer::Late(ms(1000)), Answer::Late(ms(10))]);
        let (status, elapsed) = call(&layer, &callee, get()).await;
        assert_eq!(status, 200);
        assert!(elapsed <= took, "{elapsed:?}");
        assert_eq!(layer.handle().hedges(), hedges);
    }
    assert_eq!(budget.suppressed(), 1);
}

#[tokio::test(start_paused = true)]
async fn retries_and_hedges_share_one_budget() {
    let budget = RetryBudget::successes(0.0001, 1).unwrap();
    let retry = RetryLayer::builder()
        .budget(budget.clone())
        .build()
        .unwrap();
    let hedge = measured(HedgeLayer::builder().inside(&retry)).await;
    let callee = Callee::new([Answer::Late(ms(1000)), Answer::Late(ms(10)), status(503)]);
    let client = retry.layer(hedge.layer(callee.service()));
    let answer = client.clone().oneshot(get()).await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), hedge.handle().hedges()),
        (200, 1)
    );
    let answer = client.oneshot(get()).await.unwrap();
    assert_eq!(answer.status(), 503, "the hedge has spent the budget");
    assert_eq!((budget.taken(), budget.suppressed()), (1, 1));
    // A success is counted once.
    assert!((budget.available(Instant::now()) - 0.0001).abs() < 1e-9);
}

#[tokio::test(start_paused = true)]
async fn no_hedge_is_sent_under_pushback() {
    for (headers, quiet) in [
        (vec![], ms(1000)),
        (vec![("retry-after", "5")], ms(5000)),
        (vec![("grpc-retry-pushback-ms", "3000")], ms(3000)),
    ] {
        let layer = measured(HedgeLayer::builder()).await;
        let callee = Callee::new([Answer::Head(503, headers)]);
        call(&layer, &callee, get()).await;
        tokio::time::advance(quiet.checked_sub(ms(30)).unwrap()).await;
        let late = || Callee::new([Answer::Late(ms(500)), Answer::Late(ms(10))]);
        call(&layer, &late(), get()).await;
        assert_eq!(layer.handle().hedges(), 0);
        call(&layer, &late(), get()).await;
        assert_eq!(layer.handle().hedges(), 1, "after the hint");
    }
}

#[tokio::test(start_paused = true)]
async fn a_bad_answer_does_not_win_over_a_good_one() {
    let layer = measured(HedgeLayer::builder()).await;
    // The second attempt fails at once, the first one succeeds later.
    let callee = Callee::new([Answer::Late(ms(50)), status(500)]);
    assert_eq!(call(&layer, &callee, get()).await, (200, ms(50)));
    // The first one fails while the second one runs.
    let callee = Callee::new([Answer::Late(ms(50)), Answer::Late(ms(60)), status(500)]);
    let (code, _) = call(&layer, &callee, get()).await;
    assert_eq!(code, 200);
}

#[test]
fn settings_out_of_bounds_are_errors() {
    for percentile in [0.0, 1.0, -0.5, 1.5, f64::NAN] {
        let error = HedgeLayer::builder()
            .percentile(percentile)
            .build()
            .unwrap_err();
        assert!(matches!(error, InvalidHedge::Percentile(_)));
    }
    assert!(HedgeLayer::builder().period(ms(999)).build().is_err());
    assert!(
        HedgeLayer::builder()
            .at_least(Duration::MAX)
            .build()
            .is_err()
    );
    let error = HedgeLayer::builder().percentile(0.0).build().unwrap_err();
    assert_eq!(
        error.to_string(),
        "percentile must be in (0, 0.9999], got 0"
    );
}
