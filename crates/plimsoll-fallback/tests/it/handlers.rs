//! Handlers: their arguments, and that they hold no permit.

use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicUsize, Ordering::SeqCst},
};

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::Full;
use plimsoll_core::{Class, GateLayer, Kind, test_kit::Audited};
use plimsoll_fallback::{Cause, Fallback};
use tokio::time::{Duration, sleep, timeout};
use tower::{Layer as _, Service as _, ServiceExt as _, service_fn};

use super::{obey, reject, see, seen};

type Answer = Response<Full<Bytes>>;

fn tell(cause: &Cause<&'static str>) -> String {
    match cause {
        Cause::Rejected(rejection) => format!("rejected by {}", rejection.policy()),
        Cause::Failed(failed) => format!(
            "{:?}: {}, {}",
            failed.class,
            failed.head.status.as_u16(),
            failed.head.headers["why"].to_str().unwrap()
        ),
        Cause::Error(error) => format!("error: {error}"),
        _ => "something new".to_owned(),
    }
}

#[tokio::test]
async fn a_handler_gets_the_cause() {
    let fallback = || {
        Fallback::handler(|cause: Cause<&'static str>| async move {
            Response::new(Full::from(tell(&cause)))
        })
    };
    let failing = service_fn(|ok: Request<bool>| async move {
        if !ok.body() {
            return Err("connection refused");
        }
        let response = Response::builder().status(502).header("why", "upstream");
        Ok(response.body(Full::<Bytes>::default()).unwrap())
    });
    let alone = fallback().into_layer().layer(failing);
    assert_eq!(
        see(alone.clone().oneshot(Request::new(true)).await)
            .await
            .body,
        "Failure: 502, upstream"
    );
    assert_eq!(
        see(alone.oneshot(Request::new(false)).await).await.body,
        "error: connection refused"
    );
    let refusing = GateLayer::builder(reject(Kind::Full))
        .protocol(fallback())
        .build();
    assert_eq!(
        see(refusing.layer(failing).oneshot(Request::new(true)).await)
            .await
            .body,
        "rejected by reject"
    );
}

#[tokio::test]
async fn a_handler_gets_the_captured_part_of_the_request() {
    /// A body that cannot be cloned.
    struct NotClone(u16);

    let fallback = Fallback::handler_with(
        |req: &Request<NotClone>| req.uri().clone(),
        |_: Cause, uri: Uri| async move { Response::new(Full::from(uri.path().to_owned())) },
    );
    let service = fallback
        .into_layer()
        .layer(service_fn(|req: Request<NotClone>| {
            obey(req.map(|body| body.0))
        }));
    let request = Request::get("/campaigns/7").body(NotClone(500)).unwrap();
    assert_eq!(
        see(service.oneshot(request).await).await,
        seen(200, "failed;status=500", "/campaigns/7")
    );
}

#[tokio::test]
async fn the_capture_runs_for_every_request_and_the_handler_only_for_substitutes() {
    let (captured, handled) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (capture, handle) = (Arc::clone(&captured), Arc::clone(&handled));
    let fallback = Fallback::handler_with(
        move |_: &Request<u16>| capture.fetch_add(1, SeqCst),
        move |_: Cause, _: usize| {
            handle.fetch_add(1, SeqCst);
            async { Answer::default() }
        },
    );
    let mut service = fallback.into_layer().layer(service_fn(obey));
    for (status, counts) in [(200, (1, 0)), (404, (2, 0)), (500, (3, 1))] {
        see(service.call(Request::new(status)).await).await;
        assert_eq!((captured.load(SeqCst), handled.load(SeqCst)), counts);
    }
}

#[tokio::test(start_paused = true)]
async fn law_02_a_running_handler_holds_no_permit() {
    let fallback = Fallback::handler(|_: Cause| async {
        sleep(Duration::from_secs(60)).await;
        Answer::new(Full::from("late"))
    });
    let layer = GateLayer::builder(Audited::new(()))
        .protocol(fallback)
        .build();
    let audit = layer.policy().audit();
    let mut service = layer.layer(service_fn(obey));

    let call = service.call(Request::new(500));
    assert_eq!(audit.outstanding(), 1);
    assert!(timeout(Duration::from_secs(1), call).await.is_err());
    assert_eq!(
        (audit.outstanding(), audit.classes()),
        (0, vec![Class::Failure]),
        "the permit ended with the failure, before the handler did"
    );
    assert_eq!(
        see(service.call(Request::new(500)).await).await,
        seen(200, "failed;status=500", "late")
    );
    assert_eq!(
        audit.classes(),
        [Class::Failure; 2],
        "a successful substitute is not a success of the service"
    );
}

#[tokio::test]
async fn law_02_the_permit_ends_before_the_handler_is_called() {
    let policy = Audited::new(());
    let seen_by_handler = Arc::new(AtomicI64::new(-1));
    let (audit, seen) = (policy.audit(), Arc::clone(&seen_by_handler));
    let fallback = Fallback::handler(move |_: Cause| {
        seen.store(audit.outstanding(), SeqCst);
        async { Answer::default() }
    });
    let layer = GateLayer::builder(policy).protocol(fallback).build();
    let service = layer.layer(service_fn(obey));
    see(service.oneshot(Request::new(500)).await).await;
    assert_eq!(seen_by_handler.load(SeqCst), 0);
}

#[tokio::test]
async fn law_02_a_handler_that_panics_holds_no_permit() {
    /// `at_once` panics in the closure, `!at_once` in the future that it returns.
    async fn check(at_once: bool) {
        let fallback = Fallback::handler(move |_: Cause| {
            assert!(!at_once, "on purpose");
            async {
                assert!(std::hint::black_box(false), "on purpose");
                Answer::default()
            }
        });
        let layer = GateLayer::builder(Audited::new(()))
            .protocol(fallback)
            .build();
        let audit = layer.policy().audit();
        let call = layer.layer(service_fn(obey)).oneshot(Request::new(500));
        assert!(
            tokio::spawn(async { drop(call.await) })
                .await
                .unwrap_err()
                .is_panic()
        );
        assert_eq!(
            (audit.outstanding(), audit.classes()),
            (0, vec![Class::Failure])
        );
    }
    check(true).await;
    check(false).await;
}
