//! Law 2 with a fallback: every permit ends exactly once, however a request ends.

use http::StatusCode;
use http_body_util::BodyExt as _;
use plimsoll_core::{
    Class, Gate, GateLayer,
    test_kit::{Audit, Audited, RejectAll, Script, Scripted, request},
};
use plimsoll_fallback::{Fallback, Fixed};
use tower::{Layer as _, Service as _, ServiceExt as _};

use super::house_ad;

type Service = Gate<Scripted, Audited<()>, Fallback<Fixed>>;

fn service() -> (Service, Audit) {
    let layer = GateLayer::builder(Audited::new(()))
        .protocol(house_ad())
        .build();
    let audit = layer.policy().audit();
    (layer.layer(Scripted::default()), audit)
}

#[tokio::test(start_paused = true)]
async fn law_02_every_permit_ends_once_with_the_class_of_the_service() {
    for (script, class) in [
        (Script::Status(StatusCode::OK), Class::Success),
        (Script::Status(StatusCode::NOT_FOUND), Class::Ignored),
        (Script::Status(StatusCode::BAD_GATEWAY), Class::Failure),
        (
            Script::Status(StatusCode::SERVICE_UNAVAILABLE),
            Class::Overloaded,
        ),
        (Script::Body, Class::Success),
        (Script::Trailers("13"), Class::Failure),
        (Script::BrokenBody, Class::Failure),
        (Script::Error, Class::Failure),
    ] {
        let (service, audit) = service();
        let answer = service.oneshot(request(script.clone())).await.unwrap();
        _ = answer.into_body().collect().await;
        assert_eq!(audit.outstanding(), 0, "{script:?}");
        assert_eq!(audit.classes(), [class], "{script:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn law_02_panics_hangs_and_dropped_bodies_leave_no_permit() {
    let (service, audit) = service();
    for script in [Script::Panic, Script::PanicInCall] {
        let call = tokio::spawn(service.clone().oneshot(request(script)));
        assert!(call.await.unwrap_err().is_panic());
    }
    let mut hanging = service.clone();
    hanging.ready().await.unwrap();
    drop(hanging.call(request(Script::Hang)));
    let endless = service.oneshot(request(Script::EndlessBody)).await.unwrap();
    assert_eq!(audit.outstanding(), 1, "a streaming body holds its permit");
    let mut body = endless.into_body();
    assert!(body.frame().await.is_some());
    drop(body);
    assert_eq!((audit.granted(), audit.outstanding()), (4, 0));
}

#[tokio::test(start_paused = true)]
async fn law_03_a_substituted_rejection_has_revoked_earlier_permits() {
    let layer = GateLayer::builder((Audited::new(()), RejectAll))
        .protocol(house_ad())
        .build();
    let audit = layer.policy().0.audit();
    let inner = Scripted::default();
    let answer = layer
        .layer(inner.clone())
        .oneshot(request(Script::Body))
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(
        (audit.revoked(), audit.outstanding(), inner.calls()),
        (1, 0, 0)
    );
}
