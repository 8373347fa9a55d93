//! Classes of answers.

use std::{convert::Infallible, time::Duration};

use http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_TYPE};
use http_body_util::BodyExt as _;
use plimsoll_core::{
    Class, GateLayer, Http, Kind, Outcome, Plain, PlainError, Policy, Rejection,
    policy::Verdict,
    protocol::{BoxError, Classify, ClientClassifier, ServerClassifier},
    test_kit::{RejectAll, Script, Scripted, request},
};
use tokio::time::Instant;
use tower::{Layer as _, ServiceBuilder, ServiceExt as _, service_fn};

use crate::sample::Slots;

#[test]
fn a_status_is_classified_by_the_side_that_reads_it() {
    for (status, server, client) in [
        (200, Class::Success, Class::Success),
        (304, Class::Success, Class::Success),
        (404, Class::Ignored, Class::Ignored),
        (408, Class::Ignored, Class::Failure),
        (429, Class::Ignored, Class::Overloaded),
        (500, Class::Failure, Class::Failure),
        (503, Class::Overloaded, Class::Overloaded),
        (504, Class::Failure, Class::Failure),
    ] {
        let (status, none) = (StatusCode::from_u16(status).unwrap(), HeaderMap::new());
        assert_eq!(ServerClassifier.head(status, &none), server, "{status}");
        assert_eq!(ClientClassifier.head(status, &none), client, "{status}");
    }
}

#[test]
fn a_grpc_status_is_classified_by_the_side_that_reads_it() {
    for (code, server, client) in [
        ("0", Class::Success, Class::Success),
        ("1", Class::Cancelled, Class::Cancelled),
        ("4", Class::Failure, Class::Failure),
        ("5", Class::Ignored, Class::Ignored),
        ("8", Class::Ignored, Class::Overloaded),
        ("13", Class::Failure, Class::Failure),
        ("14", Class::Overloaded, Class::Overloaded),
        ("nonsense", Class::Failure, Class::Failure),
    ] {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static(code));
        let head = Class::Success;
        assert_eq!(ServerClassifier.end(head, &trailers), server, "{code}");
        assert_eq!(ClientClassifier.end(head, &trailers), client, "{code}");
    }
}

#[tokio::test]
async fn trailers_decide_the_class() {
    for (status, class) in [
        ("0", Class::Success),
        ("5", Class::Ignored),
        ("13", Class::Failure),
        ("14", Class::Overloaded),
    ] {
        let layer = GateLayer::new(Slots::new(1));
        let gate = layer.layer(Scripted::default());
        let response = gate.oneshot(request(Script::Trailers(status))).await;
        _ = response.unwrap().into_body().collect().await;
        assert_eq!(layer.policy().last().class, class, "grpc-status {status}");
    }
}

/// Rejects every request with this kind.
struct Reject(Kind);

impl<Req> Policy<Req> for Reject {
    type Permit = ();
    plimsoll_core::decides_at_once!(Req);

    fn admit(&self, _: &mut Req, _: Instant) -> Verdict<(), Infallible> {
        let rejection = Rejection::new("inner", self.0);
        Verdict::Reject(rejection.with_retry_after(Duration::from_secs(1)))
    }
    fn finish(&self, (): (), _: &Outcome) {}
    fn revoke(&self, (): (), _: Instant, _: Instant) {}
}

#[tokio::test]
async fn a_rejection_by_an_inner_gate_has_the_class_rejected() {
    for content_type in ["text/plain", "application/grpc"] {
        for kind in Kind::ALL {
            let outer = GateLayer::builder(Slots::new(1))
                .protocol(Http::client())
                .build();
            // A custom status changes nothing.
            let inner = GateLayer::builder(Reject(kind))
                .protocol(Http::new().status(kind, StatusCode::BAD_GATEWAY))
                .build();
            for read in [true, false] {
                let service = outer.layer(inner.layer(Scripted::default()));
                let mut req = request(Script::Body);
                let content_type = HeaderValue::from_static(content_type);
                req.headers_mut().insert(CONTENT_TYPE, content_type);
                *req.method_mut() = http::Method::POST;
                *req.version_mut() = http::Version::HTTP_2;
                let response = service.oneshot(req).await.unwrap();
                if read {
                    response.into_body().collect().await.unwrap();
                }
                assert_eq!(outer.policy().last().class, Class::Rejected, "{kind:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_rejection_by_an_inner_plain_gate_has_the_class_rejected() {
    let outer = GateLayer::builder(Slots::new(1))
        .protocol(Plain::new())
        .build();
    let inner = GateLayer::builder(RejectAll).protocol(Plain::new()).build();
    let service = || service_fn(|(): ()| async { Ok::<_, BoxError>(()) });

    let nested = outer.layer(inner.layer(service()));
    let error = nested.oneshot(()).await.unwrap_err();
    assert_eq!(outer.policy().last().class, Class::Rejected);
    assert_eq!(error.rejection(), None, "this gate admitted the request");
    let found = PlainError::rejection_in(&error).unwrap();
    assert_eq!(found.policy(), "reject-all");

    // tower's buffer wraps one error and shares it among its callers.
    let buffered = ServiceBuilder::new()
        .layer(&outer)
        .buffer(4)
        .layer(&inner)
        .service(service());
    buffered.oneshot(()).await.unwrap_err();
    assert_eq!(outer.policy().last().class, Class::Rejected);
}

#[tokio::test]
async fn a_plain_gate_keeps_the_source_chain_of_boxed_errors() {
    #[derive(Debug, thiserror::Error)]
    #[error("no route")]
    struct NoRoute(#[source] std::fmt::Error);

    let layer = GateLayer::builder(Slots::new(1))
        .protocol(Plain::new())
        .build();
    let service = layer.layer(service_fn(|(): ()| async {
        Err::<(), BoxError>(Box::new(NoRoute(std::fmt::Error)))
    }));
    let error: BoxError = service.oneshot(()).await.unwrap_err().into();
    assert_eq!(error.to_string(), "no route");
    let source = error.source().unwrap();
    assert!(source.is::<NoRoute>());
    assert!(source.source().unwrap().is::<std::fmt::Error>());
}

#[tokio::test]
async fn a_service_that_panics_has_failed_even_if_the_panic_is_caught() {
    use std::{
        future::poll_fn, panic::AssertUnwindSafe, panic::catch_unwind, pin::pin, task::Poll,
    };

    let layer = GateLayer::new(Slots::new(1));
    let mut call = pin!(
        layer
            .layer(Scripted::default())
            .oneshot(request(Script::Panic))
    );
    // As tower-http's `CatchPanic` does: the future is dropped after the unwinding has ended.
    let caught = poll_fn(|cx| {
        let poll = catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(cx)));
        Poll::Ready(poll.is_err())
    });
    assert!(caught.await);
    assert_eq!(layer.policy().last().class, Class::Failure);
}
