//! Run-time switches and counters.

use http::{Request, Response};
use http_body_util::Full;
use plimsoll_core::{GateLayer, Kind, test_kit::RejectAll};
use plimsoll_fallback::{Cause, Fallback};
use tower::{Layer as _, Service as _, ServiceExt as _, service_fn};

use super::{house_ad, obey, see};

#[tokio::test]
async fn while_off_answers_equal_those_without_a_fallback() {
    let fallback = house_ad();
    let handle = fallback.handle();
    let layer = GateLayer::builder(RejectAll).protocol(fallback).build();
    let status = async || {
        let service = layer.layer(service_fn(obey));
        see(service.oneshot(Request::new(200)).await).await.status
    };
    assert_eq!(status().await, 200);
    handle.enable(false);
    assert!(!handle.is_enabled());
    assert_eq!(status().await, 503);
    handle.enable(true);
    assert_eq!(status().await, 200);
    handle.set_on_kind(Kind::Full, false);
    assert_eq!(status().await, 503);
    handle.set_on_rejection(true);
    assert_eq!(status().await, 200);
    handle.set_on_rejection(false);
    assert!(!handle.on_rejection() && !handle.on_kind(Kind::CircuitOpen));
    assert_eq!(status().await, 503);
}

#[tokio::test]
async fn every_cause_has_a_counter() {
    let fallback = Fallback::handler(|_: Cause<()>| async { Response::new(Full::from("")) });
    let handle = fallback.handle();
    let layer = fallback.clone().into_layer();
    let mut service = layer.layer(service_fn(|fail: Request<bool>| async move {
        if *fail.body() {
            return Err(());
        }
        obey(Request::new(500))
            .await
            .map_err(|never| match never {})
    }));
    for fail in [true, false, false] {
        see(service.call(Request::new(fail)).await).await;
    }
    let refusing = GateLayer::builder(RejectAll).protocol(fallback).build();
    let refused = refusing.layer(service.into_inner());
    see(refused.oneshot(Request::new(true)).await).await;
    assert_eq!(
        (handle.rejected(), handle.failed(), handle.errors()),
        (1, 2, 1)
    );
}

#[tokio::test]
async fn a_request_that_began_while_off_gets_no_substitute() {
    let fallback = house_ad();
    let handle = fallback.handle();
    handle.enable(false);
    let mut service = fallback.into_layer().layer(service_fn(obey));
    let call = service.call(Request::new(500));
    handle.enable(true);
    assert_eq!(see(call.await).await.status, 500);
}
