//! The permit and the body: when a call is over, and as what.

use http::{Method, StatusCode};
use http_body_util::BodyExt as _;
use plimsoll_core::{
    Class, GateLayer,
    test_kit::{Script, request},
};

use crate::sample::{Slots, send, send_request};

/// The class of a call whose body is read to its end.
async fn class_of(script: Script) -> Class {
    let layer = GateLayer::new(Slots::new(1));
    if let Ok(response) = send(&layer, script).await {
        _ = response.into_body().collect().await;
    }
    assert_eq!(layer.policy().in_flight(), 0);
    layer.policy().last().class
}

#[tokio::test]
async fn the_status_classifies_an_answer() {
    for (status, class) in [
        (StatusCode::OK, Class::Success),
        (StatusCode::NOT_MODIFIED, Class::Success),
        (StatusCode::NOT_FOUND, Class::Ignored),
        (StatusCode::TOO_MANY_REQUESTS, Class::Overloaded),
        (StatusCode::INTERNAL_SERVER_ERROR, Class::Failure),
        (StatusCode::SERVICE_UNAVAILABLE, Class::Overloaded),
        (StatusCode::GATEWAY_TIMEOUT, Class::Failure),
    ] {
        assert_eq!(class_of(Script::Status(status)).await, class, "{status}");
    }
}

#[tokio::test]
async fn trailers_have_the_last_word() {
    for (status, class) in [
        ("0", Class::Success),
        ("1", Class::Cancelled),
        ("5", Class::Ignored),
        ("8", Class::Overloaded),
        ("13", Class::Failure),
        ("14", Class::Overloaded),
        ("nonsense", Class::Failure),
    ] {
        assert_eq!(
            class_of(Script::Trailers(status)).await,
            class,
            "grpc-status {status}"
        );
    }
}

#[tokio::test]
async fn errors_are_failures() {
    assert_eq!(class_of(Script::Error).await, Class::Failure);
    assert_eq!(class_of(Script::BrokenBody).await, Class::Failure);
}

#[tokio::test]
async fn the_permit_is_held_until_the_last_frame() {
    let layer = GateLayer::new(Slots::new(1));
    let mut body = send(&layer, Script::Body).await.unwrap().into_body();
    assert_eq!(layer.policy().in_flight(), 1, "the head is not the end");
    body.frame().await.unwrap().unwrap();
    assert_eq!(layer.policy().in_flight(), 1, "a frame is still to come");
    body.frame().await.unwrap().unwrap();
    assert_eq!(
        layer.policy().in_flight(),
        0,
        "the last frame is the end: servers stop polling here"
    );
}

#[tokio::test]
async fn the_permit_is_held_until_the_trailers() {
    let layer = GateLayer::new(Slots::new(1));
    let mut body = send(&layer, Script::Trailers("0"))
        .await
        .unwrap()
        .into_body();
    body.frame().await.unwrap().unwrap();
    assert_eq!(layer.policy().in_flight(), 1);
    assert!(body.frame().await.unwrap().unwrap().is_trailers());
    assert_eq!(layer.policy().in_flight(), 0);
}

#[tokio::test]
async fn a_body_dropped_before_its_end_was_cancelled() {
    let layer = GateLayer::new(Slots::new(1));
    drop(send(&layer, Script::Body).await.unwrap());
    assert_eq!(layer.policy().last().class, Class::Cancelled);
    let mut body = send(&layer, Script::EndlessBody).await.unwrap().into_body();
    body.frame().await.unwrap().unwrap();
    drop(body);
    assert_eq!(layer.policy().last().class, Class::Cancelled);
    assert_eq!(layer.policy().in_flight(), 0);
}

#[tokio::test]
async fn a_bad_answer_whose_body_nobody_reads_is_bad_all_the_same() {
    use tower::{Layer as _, ServiceExt as _};
    for (status, class) in [
        (500, Class::Failure),
        (503, Class::Overloaded),
        (200, Class::Cancelled),
    ] {
        let inner = tower::service_fn(move |_: http::Request<()>| async move {
            let body = http_body_util::Full::new(bytes::Bytes::from_static(b"thrown away"));
            let mut response = http::Response::new(body);
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            Ok::<_, std::convert::Infallible>(response)
        });
        let layer = GateLayer::new(Slots::new(1));
        drop(
            layer
                .layer(inner)
                .oneshot(http::Request::new(()))
                .await
                .unwrap(),
        );
        assert_eq!(layer.policy().last().class, class, "{status}");
    }
}

#[tokio::test]
async fn a_head_request_is_over_at_the_head() {
    let layer = GateLayer::new(Slots::new(1));
    let mut head = request(Script::Body);
    *head.method_mut() = Method::HEAD;
    let response = send_request(&layer, head).await.unwrap();
    assert_eq!(layer.policy().in_flight(), 0);
    assert_eq!(layer.policy().last().class, Class::Success);
    drop(response);
}

#[tokio::test]
async fn a_promised_length_that_was_sent_is_the_end() {
    use bytes::Bytes;
    use tower::{Layer as _, ServiceExt as _};
    // A stream that does not know its length, under a head that does; hyper stops polling after the last byte.
    let inner = tower::service_fn(|_: http::Request<()>| async {
        let frames = [Ok::<_, std::io::Error>(http_body::Frame::data(
            Bytes::from_static(b"12345"),
        ))];
        let endless = futures_util::StreamExt::chain(
            futures_util::stream::iter(frames),
            futures_util::stream::pending(),
        );
        let mut response = http::Response::new(http_body_util::StreamBody::new(endless));
        response.headers_mut().insert("content-length", 5.into());
        Ok::<_, std::io::Error>(response)
    });
    let layer = GateLayer::new(Slots::new(1));
    let mut body = layer
        .layer(inner)
        .oneshot(http::Request::new(()))
        .await
        .unwrap()
        .into_body();
    body.frame().await.unwrap().unwrap();
    drop(body);
    assert_eq!(layer.policy().last().class, Class::Success);
}
