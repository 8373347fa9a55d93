//! The times in an outcome, as a policy reads them when a call ends.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use plimsoll_core::{
    Class, GateLayer, Outcome,
    test_kit::{Script, Scripted, request},
};
use tokio::time::{Instant, advance, sleep};
use tower::{Layer as _, ServiceExt as _};

use crate::sample::{Door, Slots, send};

const MS: Duration = Duration::from_millis(1);

#[tokio::test(start_paused = true)]
async fn the_head_comes_before_the_end_of_the_call() {
    let inner = tower::service_fn(|_: Request<()>| async {
        sleep(30 * MS).await;
        let body = Full::new(Bytes::from_static(b"data"));
        Ok::<_, std::convert::Infallible>(Response::new(body))
    });
    let layer = GateLayer::new(Slots::new(1));
    let began = Instant::now();
    let response = layer.layer(inner).oneshot(Request::new(())).await.unwrap();
    advance(20 * MS).await;
    response.into_body().collect().await.unwrap();
    let outcome = layer.policy().last();
    let ended = outcome.ended();
    assert_eq!(outcome.started(), began);
    assert_eq!(outcome.head_at(), began + 30 * MS);
    assert_eq!(ended, began + 50 * MS);
    assert_eq!((outcome.latency(), outcome.ran()), (30 * MS, 50 * MS));
}

#[tokio::test(start_paused = true)]
async fn without_a_head_the_latency_ends_with_the_call() {
    let layer = GateLayer::new(Slots::new(1));
    let mut call = Box::pin(send(&layer, Script::Hang));
    assert!(futures_util::poll!(&mut call).is_pending());
    advance(40 * MS).await;
    drop(call);
    let outcome: Outcome = layer.policy().last();
    assert_eq!((outcome.class, outcome.ran()), (Class::Cancelled, 40 * MS));
    assert_eq!(outcome.latency(), 40 * MS);
    assert_eq!(outcome.head_at(), outcome.ended());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_queued_for_hours_is_finished() {
    let layer = GateLayer::new((Arc::new(Door::default()), Slots::new(1)));
    let gate = layer.layer(Scripted::default());
    let script = Script::Status(StatusCode::OK);
    let mut call = Box::pin(gate.oneshot(request(script)));
    assert!(futures_util::poll!(&mut call).is_pending());
    advance(Duration::from_secs(2 * 60 * 60)).await;
    layer.policy().0.open();
    call.await.unwrap();
    let outcome = layer.policy().1.last();
    assert_eq!(outcome.class, Class::Success);
    assert!(outcome.waited() > Duration::from_secs(71 * 60));
}
