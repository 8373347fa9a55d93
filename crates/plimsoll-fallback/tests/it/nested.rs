//! Around other gates.

use bytes::Bytes;
use http::{Request, Response};
use plimsoll_core::{
    Class, GateBody, GateLayer, Kind,
    test_kit::{Audited, RefuseAll},
};
use plimsoll_fallback::{Cause, Fallback};
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::{house_ad, obey, refuse, see, seen};

#[tokio::test]
async fn the_refusal_of_a_gate_further_in_is_a_refusal() {
    let check = async |kind: Kind, status, degraded: &str, body| {
        let inner = GateLayer::new(((), refuse(kind))).layer(service_fn(obey));
        let answer = house_ad().layer().layer(inner).oneshot(Request::new(200));
        let answer = see(answer.await).await;
        assert_eq!(
            (answer.status, answer.degraded.as_deref()),
            (status, Some(degraded).filter(|d| !d.is_empty()))
        );
        if let Some(body) = body {
            assert_eq!(answer.body, body);
        }
    };
    let ad = Some("house ad");
    // A 503 would be overload, and a 504 a failure, if they were not known for what they are.
    check(Kind::Full, 200, "rejected;policy=\"refuse\";kind=full", ad).await;
    check(
        Kind::Deadline,
        200,
        "rejected;policy=\"refuse\";kind=deadline",
        ad,
    )
    .await;
    check(Kind::OverQuota, 429, "", None).await;
    check(Kind::Skipped, 202, "", Some("")).await;
}

#[tokio::test]
async fn a_failure_through_two_gates_settles_both() {
    let inner = GateLayer::new(Audited::new(()));
    let outer = GateLayer::builder(Audited::new(()))
        .protocol(house_ad())
        .build();
    let service = outer.layer(inner.layer(service_fn(obey)));
    assert_eq!(
        see(service.oneshot(Request::new(500)).await).await,
        seen(200, "failed;status=500", "house ad")
    );
    assert_eq!(outer.policy().audit().classes(), [Class::Failure]);
    assert_eq!(outer.policy().audit().outstanding(), 0);
    assert_eq!(inner.policy().audit().outstanding(), 0);
}

#[tokio::test]
async fn the_inner_substitute_is_left_as_it_is() {
    let sorry = Response::builder().status(500).body("sorry").unwrap();
    let inner = GateLayer::builder(RefuseAll)
        .protocol(Fallback::answer(sorry))
        .build();
    let outer = house_ad();
    let handle = outer.handle();
    let service = outer.layer().layer(inner.layer(service_fn(obey)));
    let answer = see(service.oneshot(Request::new(200)).await).await;
    assert_eq!(
        answer,
        seen(500, "rejected;policy=\"refuse-all\";kind=full", "sorry")
    );
    assert_eq!((handle.failed(), handle.rejected()), (0, 0));
}

#[tokio::test]
async fn a_handler_answers_with_the_inner_gates_body() {
    let inner = GateLayer::new(RefuseAll).layer(service_fn(obey));
    let outer = Fallback::handler(|_: Cause| async {
        Response::new(GateBody::own(Bytes::from_static(b"handled")))
    });
    assert_eq!(
        see(outer.layer().layer(inner).oneshot(Request::new(200)).await).await,
        seen(200, "rejected;policy=\"refuse-all\";kind=full", "handled")
    );
}
