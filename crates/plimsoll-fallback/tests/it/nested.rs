//! Around other gates.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use plimsoll_core::{
    Class, GateLayer, Kind,
    protocol::GateBody,
    test_kit::{Audited, RejectAll},
};
use plimsoll_fallback::{Cause, Fallback, Fixed};
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::{Seen, house_ad, obey, reject, see, seen};

#[tokio::test]
async fn a_rejection_of_an_inner_gate_is_a_rejection() {
    let check = async |kind: Kind, status, degraded: &str, body| {
        let inner = GateLayer::new(((), reject(kind))).layer(service_fn(obey));
        let answer = house_ad()
            .into_layer()
            .layer(inner)
            .oneshot(Request::new(200));
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
    // Without the extension a 503 would count as overload, and a 504 as a failure.
    check(Kind::Full, 200, "rejected;policy=\"reject\";kind=full", ad).await;
    check(
        Kind::Deadline,
        200,
        "rejected;policy=\"reject\";kind=deadline",
        ad,
    )
    .await;
    check(Kind::OverQuota, 429, "", None).await;
    check(Kind::Skipped, 202, "", Some("")).await;
}

#[tokio::test]
async fn outer_policies_observe_an_inner_rejection_replaced_or_not() {
    for (kind, replaced) in [(Kind::Full, true), (Kind::OverQuota, false)] {
        let inner = GateLayer::new(reject(kind)).layer(service_fn(obey));
        let outer = GateLayer::builder(Audited::new(()))
            .protocol(house_ad())
            .build();
        let answer = see(outer.layer(inner).oneshot(Request::new(200)).await).await;
        assert_eq!(answer.body == "house ad", replaced, "{kind:?}");
        assert_eq!(outer.policy().audit().classes(), [Class::Rejected]);
    }
}

#[tokio::test]
async fn a_failure_through_two_gates_ends_both_permits() {
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

/// The answers to a rejection, a failure and an error when an inner fallback answers with `inner`,
/// inside of `outer`.
async fn through_two(inner: u16, outer: &Fallback<Fixed>) -> [Seen; 3] {
    let substitute = || {
        let sorry = Response::builder().status(inner).body("sorry");
        Fallback::answer(sorry.unwrap())
    };
    let rejecting = GateLayer::builder(RejectAll).protocol(substitute()).build();
    let rejected = outer
        .clone()
        .into_layer()
        .layer(rejecting.layer(service_fn(obey)));
    let failing = substitute().into_layer().layer(service_fn(obey));
    let failed = outer.clone().into_layer().layer(failing);
    let broken = substitute()
        .into_layer()
        .layer(service_fn(|_: Request<u16>| async {
            Err::<Response<Full<Bytes>>, _>("connection refused")
        }));
    let broken = outer.clone().into_layer().layer(broken);
    [
        see(rejected.oneshot(Request::new(200)).await).await,
        see(failed.oneshot(Request::new(500)).await).await,
        see(broken.oneshot(Request::new(200)).await).await,
    ]
}

const CAUSES: [&str; 3] = [
    "rejected;policy=\"reject-all\";kind=full",
    "failed;status=500",
    "error",
];

#[tokio::test]
async fn an_inner_substitute_that_is_not_a_failure_is_kept() {
    for status in [200, 404] {
        let outer = house_ad().on_overload(true);
        let expected = CAUSES.map(|cause| seen(status, cause, "sorry"));
        assert_eq!(through_two(status, &outer).await, expected);
        let handle = outer.handle();
        assert_eq!(
            (handle.failed(), handle.rejected(), handle.errors()),
            (0, 0, 0)
        );
    }
}

#[tokio::test]
async fn an_inner_substitute_that_failed_is_replaced() {
    for status in [500, 503] {
        let outer = house_ad();
        let marked = format!("failed;status={status}");
        let expected = [(); 3].map(|()| seen(200, &marked, "house ad"));
        assert_eq!(through_two(status, &outer).await, expected);
        assert_eq!(outer.handle().failed(), 3);
    }
}

#[tokio::test]
async fn a_failed_substitute_is_replaced_for_its_own_class_or_for_its_cause() {
    let replaced = async |status, outer: Fallback<Fixed>| {
        let seen = through_two(status, &outer).await;
        seen.map(|seen| seen.body == "house ad")
    };
    let only = || {
        house_ad()
            .on_rejection(false)
            .on_failure(false)
            .on_error(false)
    };
    assert_eq!(replaced(503, only()).await, [false; 3]);
    assert_eq!(replaced(500, only()).await, [false; 3]);
    assert_eq!(replaced(503, only().on_overload(true)).await, [true; 3]);
    assert_eq!(replaced(500, only().on_overload(true)).await, [false; 3]);
    let kind = only().on_kind(Kind::Full, true);
    assert_eq!(replaced(503, kind).await, [true, false, false]);
    let other_kind = only().on_kind(Kind::Deadline, true);
    assert_eq!(replaced(503, other_kind).await, [false; 3]);
    assert_eq!(
        replaced(503, only().on_failure(true)).await,
        [false, true, false]
    );
    assert_eq!(replaced(500, only().on_failure(true)).await, [true; 3]);
    assert_eq!(
        replaced(503, only().on_error(true)).await,
        [false, false, true]
    );
}

#[tokio::test]
async fn a_handler_answers_with_the_inner_gates_body() {
    let inner = GateLayer::new(RejectAll).layer(service_fn(obey));
    let outer = Fallback::handler(|_: Cause| async {
        Response::new(GateBody::own(Bytes::from_static(b"handled")))
    });
    assert_eq!(
        see(outer
            .into_layer()
            .layer(inner)
            .oneshot(Request::new(200))
            .await)
        .await,
        seen(200, "rejected;policy=\"reject-all\";kind=full", "handled")
    );
}
