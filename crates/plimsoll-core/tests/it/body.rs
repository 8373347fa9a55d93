//! The permit and the body: when a call ends, and with which class.

use http::{Method, StatusCode};
use http_body_util::BodyExt as _;
use plimsoll_core::{
    Class, GateLayer, Http, Kind, Rejection, Release,
    protocol::HttpCall,
    test_kit::{Script, request},
};

use tower::{Layer as _, ServiceExt as _};

use crate::sample::{Slots, send, send_request};

type Extension = fn(&mut http::Response<String>);

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
async fn errors_are_failures() {
    assert_eq!(class_of(Script::Error).await, Class::Failure);
    assert_eq!(class_of(Script::BrokenBody).await, Class::Failure);
}

#[tokio::test]
async fn the_permit_is_held_until_the_last_frame() {
    let layer = GateLayer::new(Slots::new(1));
    let mut body = send(&layer, Script::Body).await.unwrap().into_body();
    assert_eq!(layer.policy().in_flight(), 1, "after the head");
    body.frame().await.unwrap().unwrap();
    assert_eq!(layer.policy().in_flight(), 1, "before the last frame");
    body.frame().await.unwrap().unwrap();
    assert_eq!(
        layer.policy().in_flight(),
        0,
        "after the last frame, where servers stop polling"
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
async fn a_call_whose_body_is_dropped_keeps_the_class_of_its_head() {
    for (status, class) in [
        (201, Class::Success),
        (404, Class::Ignored),
        (500, Class::Failure),
        (503, Class::Overloaded),
    ] {
        let inner = tower::service_fn(move |_: http::Request<()>| async move {
            let body = http_body_util::Full::new(bytes::Bytes::from_static(b"never read"));
            let mut response = http::Response::new(body);
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            Ok::<_, std::convert::Infallible>(response)
        });
        let layer = GateLayer::new(Slots::new(1));
        let gate = layer.layer(inner);
        drop(gate.oneshot(http::Request::new(())).await.unwrap());
        let outcome = layer.policy().last();
        assert_eq!((outcome.class, outcome.body_dropped()), (class, true));
    }
}

#[tokio::test]
async fn a_body_that_was_read_to_its_end_does_not_count_as_dropped() {
    let layer = GateLayer::new(Slots::new(1));
    let response = send(&layer, Script::Body).await.unwrap();
    response.into_body().collect().await.unwrap();
    assert!(!layer.policy().last().body_dropped());
    drop(send(&layer, Script::Status(StatusCode::NO_CONTENT)).await);
    assert!(
        !layer.policy().last().body_dropped(),
        "an empty body needs no reading"
    );

    let mut body = send(&layer, Script::EndlessBody).await.unwrap().into_body();
    body.frame().await.unwrap().unwrap();
    drop(body);
    let outcome = layer.policy().last();
    assert_eq!(
        (outcome.class, outcome.body_dropped()),
        (Class::Success, true)
    );
    assert_eq!(layer.policy().in_flight(), 0);
}

#[tokio::test]
async fn a_grpc_call_dropped_before_its_trailers_is_cancelled() {
    let inner = tower::service_fn(|_: http::Request<()>| async {
        let mut response = http::Response::new(http_body_util::Full::new("a message".into()));
        *response.version_mut() = http::Version::HTTP_2;
        let grpc = http::HeaderValue::from_static("application/grpc+proto");
        response.headers_mut().insert("content-type", grpc);
        Ok::<http::Response<http_body_util::Full<bytes::Bytes>>, std::convert::Infallible>(response)
    });
    let layer = GateLayer::new(Slots::new(1));
    let gate = layer.layer(inner);
    drop(gate.oneshot(http::Request::new(())).await.unwrap());
    let outcome = layer.policy().last();
    assert_eq!(outcome.class, Class::Cancelled, "the head has no result");
    assert!(outcome.body_dropped());
}

#[tokio::test]
async fn a_head_request_ends_at_the_head() {
    let layer = GateLayer::new(Slots::new(1));
    let mut head = request(Script::Body);
    *head.method_mut() = Method::HEAD;
    let response = send_request(&layer, head).await.unwrap();
    assert_eq!(layer.policy().in_flight(), 0);
    assert_eq!(layer.policy().last().class, Class::Success);
    drop(response);
}

/// Whether a body counts as dropped before its end: five bytes of a stream that reports no length,
/// with this length in the head.
async fn is_dropped_early(promised: u64) -> bool {
    use bytes::Bytes;
    let inner = tower::service_fn(move |_: http::Request<()>| async move {
        let frames = [Ok::<_, std::io::Error>(http_body::Frame::data(
            Bytes::from_static(b"12345"),
        ))];
        let endless = futures_util::StreamExt::chain(
            futures_util::stream::iter(frames),
            futures_util::stream::pending(),
        );
        let mut response = http::Response::new(http_body_util::StreamBody::new(endless));
        let headers = response.headers_mut();
        headers.insert("content-length", promised.into());
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
    let outcome = layer.policy().last();
    assert_eq!(outcome.class, Class::Success);
    outcome.body_dropped()
}

#[tokio::test]
async fn a_body_ends_when_the_promised_length_was_sent() {
    // hyper stops polling after the last byte.
    assert!(!is_dropped_early(5).await);
    assert!(is_dropped_early(6).await);
}

#[test]
fn only_a_rejection_in_the_extensions_makes_the_class_rejected() {
    let class = |status, extensions: &[Extension]| {
        let mut response = http::Response::new(String::from("body"));
        *response.status_mut() = status;
        for extension in extensions {
            extension(&mut response);
        }
        HttpCall::begin(&http::Request::new(())).class(&Http::new(), &response)
    };
    let release: Extension = |response| {
        response.extensions_mut().insert(Release::AtHead);
    };
    let rejection: Extension = |response| {
        let rejection = Rejection::new("inner", Kind::OverQuota);
        response.extensions_mut().insert(rejection);
    };
    assert_eq!(class(StatusCode::OK, &[]), Class::Success);
    assert_eq!(class(StatusCode::OK, &[release]), Class::Success);
    assert_eq!(
        class(StatusCode::OK, &[release, rejection]),
        Class::Rejected
    );
    assert_eq!(
        class(StatusCode::INTERNAL_SERVER_ERROR, &[release]),
        Class::Failure
    );
}

#[tokio::test]
async fn a_dropped_http_2_body_keeps_the_class_of_its_head_unless_it_is_grpc() {
    for (content_type, class) in [
        ("text/plain", Class::Success),
        ("application/grpc", Class::Cancelled),
    ] {
        let inner = tower::service_fn(move |_: http::Request<()>| async move {
            let body = http_body_util::Full::new(bytes::Bytes::from_static(b"12345"));
            http::Response::builder()
                .version(http::Version::HTTP_2)
                .header("content-type", content_type)
                .body(body)
        });
        let layer = GateLayer::new(Slots::new(1));
        let call = layer.layer(inner).oneshot(http::Request::new(()));
        drop(call.await.unwrap());
        assert_eq!(layer.policy().last().class, class, "{content_type}");
    }
}

/// A body that reports its length only, and never that it is at its end.
struct OfLength(u64);

impl http_body::Body for OfLength {
    type Data = bytes::Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, Self::Error>>> {
        std::task::Poll::Ready(None)
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(self.0)
    }
}

/// Sends a request that is answered with this status and length, and returns the layer and the
/// response.
async fn answered(
    status: StatusCode,
    length: u64,
) -> (
    GateLayer<Slots>,
    http::Response<impl http_body::Body + use<>>,
) {
    let inner = tower::service_fn(move |_: http::Request<()>| async move {
        let mut response = http::Response::new(OfLength(length));
        *response.status_mut() = status;
        Ok::<_, std::convert::Infallible>(response)
    });
    let layer = GateLayer::new(Slots::new(1));
    let gate = layer.layer(inner);
    let response = gate.oneshot(http::Request::new(())).await.unwrap();
    (layer, response)
}

#[tokio::test]
async fn a_status_without_a_body_ends_the_call_with_its_head() {
    for (status, in_flight) in [(200, 1), (204, 0), (304, 0), (404, 1)] {
        let status = StatusCode::from_u16(status).unwrap();
        let (layer, response) = answered(status, 9).await;
        assert_eq!(layer.policy().in_flight(), in_flight, "{status}");
        drop(response);
        assert_eq!(layer.policy().in_flight(), 0, "{status}");
    }
}

#[tokio::test]
async fn an_unread_body_without_data_does_not_count_as_dropped() {
    for (length, dropped) in [(0, false), (1, true)] {
        let (layer, response) = answered(StatusCode::OK, length).await;
        drop(response);
        assert_eq!(layer.policy().last().body_dropped(), dropped, "{length}");
    }
}
