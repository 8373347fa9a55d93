//! Handlers that decline: the original goes out.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use plimsoll_core::{Class, GateLayer, Kind, Rejection, test_kit::Audited};
use plimsoll_fallback::{Cause, DEGRADED, Degraded, Fallback};
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::{obey, reject, see, seen};

type Answer = Response<Full<Bytes>>;

fn page() -> Answer {
    Response::new(Full::from("page"))
}

/// Answers open circuits, and declines everything else.
async fn only_open_circuits(cause: Cause) -> Option<Answer> {
    match cause {
        Cause::Rejected(rejection) if rejection.kind() == Kind::CircuitOpen => Some(page()),
        _ => None,
    }
}

#[tokio::test]
async fn a_declined_rejection_goes_out_as_it_is() {
    for kind in [Kind::Full, Kind::Deadline] {
        let fallback = Fallback::handler(only_open_circuits);
        let handle = fallback.handle();
        let with = GateLayer::builder(reject(kind)).protocol(fallback).build();
        let without = GateLayer::new(reject(kind));
        let declined = with.layer(service_fn(obey));
        let declined = declined.oneshot(Request::new(200)).await.unwrap();
        let usual = without.layer(service_fn(obey));
        let usual = usual.oneshot(Request::new(200)).await.unwrap();
        assert_eq!(declined.status(), usual.status());
        assert_eq!(declined.headers(), usual.headers());
        assert_eq!(
            declined.extensions().get::<Rejection>(),
            usual.extensions().get()
        );
        assert!(declined.extensions().get::<Degraded>().is_none());
        assert_eq!(
            see::<_, Infallible>(Ok(declined)).await,
            see(Ok::<_, Infallible>(usual)).await
        );
        assert_eq!(handle.rejected(), 0, "a declined rejection is not counted");
    }
}

#[tokio::test]
async fn a_substitute_of_a_handler_that_may_decline_is_marked_and_counted() {
    let fallback = Fallback::handler(only_open_circuits);
    let handle = fallback.handle();
    let layer = GateLayer::builder(reject(Kind::CircuitOpen))
        .protocol(fallback)
        .build();
    let service = layer.layer(service_fn(obey));
    let answer = see(service.oneshot(Request::new(200)).await).await;
    let mark = "rejected;policy=\"reject\";kind=circuit-open";
    assert_eq!(answer, seen(200, mark, "page"));
    assert_eq!(handle.rejected(), 1);
}

#[tokio::test]
async fn a_declined_failure_keeps_its_head_and_its_body() {
    let fallback = Fallback::handler(only_open_circuits);
    let handle = fallback.handle();
    let layer = GateLayer::builder(Audited::new(()))
        .protocol(fallback)
        .build();
    let audit = layer.policy().audit();
    let service = layer.layer(service_fn(|req: Request<u16>| async {
        let mut response = obey(req).await?;
        response
            .headers_mut()
            .insert("why", "upstream".parse().unwrap());
        Ok::<_, Infallible>(response)
    }));
    let answer = service.oneshot(Request::new(502)).await.unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(answer.headers()["why"], "upstream");
    assert!(!answer.headers().contains_key(DEGRADED));
    assert_eq!(
        (audit.outstanding(), audit.classes()),
        (0, vec![Class::Failure]),
        "the permit has ended before the handler ran"
    );
    assert_eq!(
        see::<_, Infallible>(Ok(answer)).await,
        seen(502, "", "inner")
    );
    assert_eq!(handle.failed(), 0);
}

#[tokio::test]
async fn a_declined_rejection_of_an_inner_gate_is_still_a_rejection() {
    let inner = GateLayer::new(reject(Kind::Full)).layer(service_fn(obey));
    let declines = Fallback::handler(|_: Cause| async { None::<Response<_>> });
    let service = declines.into_layer().layer(inner);
    let answer = service.oneshot(Request::new(200)).await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers()["plimsoll-rejected-by"], "reject");
    assert!(answer.extensions().get::<Rejection>().is_some());
}

#[tokio::test]
async fn a_declined_error_is_returned() {
    let answers = |good: bool| {
        let fallback = Fallback::handler(move |cause: Cause<&'static str>| async move {
            if good { Ok(page()) } else { Err(cause) }
        });
        let handle = fallback.handle();
        let failing = service_fn(|_: Request<()>| async { Err::<Answer, _>("refused") });
        let service = fallback.into_layer().layer(failing);
        async move { (service.oneshot(Request::new(())).await, handle.errors()) }
    };
    let (declined, counted) = answers(false).await;
    assert_eq!((declined.unwrap_err(), counted), ("refused", 0));
    let (answered, counted) = answers(true).await;
    assert_eq!(see(answered).await, seen(200, "error", "page"));
    assert_eq!(counted, 1);
}

#[tokio::test]
async fn a_capturing_handler_may_decline() {
    let fallback = Fallback::handler_with(
        |req: &Request<u16>| *req.body(),
        |_: Cause, status: u16| async move { (status == 500).then(page) },
    );
    let service = fallback.into_layer().layer(service_fn(obey));
    let answered = see(service.clone().oneshot(Request::new(500)).await).await;
    assert_eq!(answered, seen(200, "failed;status=500", "page"));
    let declined = see(service.oneshot(Request::new(501)).await).await;
    assert_eq!(declined, seen(501, "", "inner"));
}
