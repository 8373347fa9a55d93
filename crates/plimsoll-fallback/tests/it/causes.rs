//! What is substituted, and what is not.

use http::{Request, Response};
use http_body_util::Full;
use plimsoll_core::{Class, GateLayer, Http, Kind};
use plimsoll_fallback::{Fallback, Fixed};
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::{Seen, house_ad, obey, reject, see, seen};

async fn answer(fallback: Fallback<Fixed>, status: u16) -> Seen {
    let service = fallback.into_layer().layer(service_fn(obey));
    see(service.oneshot(Request::new(status)).await).await
}

async fn refusal(fallback: Fallback<Fixed>, kind: Kind) -> Seen {
    let layer = GateLayer::builder(((), reject(kind)))
        .protocol(fallback)
        .build();
    see(layer
        .layer(service_fn(obey))
        .oneshot(Request::new(200))
        .await)
    .await
}

#[tokio::test]
async fn successful_answers_are_unchanged() {
    for status in [200, 204, 302, 404, 401] {
        assert_eq!(answer(house_ad(), status).await, seen(status, "", "inner"));
    }
}

#[tokio::test]
async fn failures_are_replaced() {
    for (status, degraded) in [(500, "failed;status=500"), (504, "failed;status=504")] {
        assert_eq!(
            answer(house_ad(), status).await,
            seen(200, degraded, "house ad")
        );
    }
    let off = house_ad().on_failure(false);
    assert_eq!(answer(off, 500).await, seen(500, "", "inner"));
}

#[tokio::test]
async fn overloaded_answers_are_replaced_only_when_switched_on() {
    for status in [429, 503] {
        assert_eq!(answer(house_ad(), status).await, seen(status, "", "inner"));
    }
    let on = house_ad().on_overload(true);
    assert_eq!(
        answer(on, 503).await,
        seen(200, "failed;status=503", "house ad")
    );
}

#[tokio::test]
async fn rejections_for_a_condition_of_the_server_are_replaced() {
    for kind in [Kind::Full, Kind::CircuitOpen, Kind::Deadline] {
        let degraded = format!("rejected;policy=\"reject\";kind={}", kind.as_str());
        assert_eq!(
            refusal(house_ad(), kind).await,
            seen(200, &degraded, "house ad")
        );
    }
}

#[tokio::test]
async fn a_caller_over_its_quota_gets_the_429() {
    assert_eq!(refusal(house_ad(), Kind::OverQuota).await.status, 429);
    assert_eq!(refusal(house_ad(), Kind::Skipped).await.status, 202);
    let on = house_ad().on_kind(Kind::OverQuota, true);
    assert_eq!(
        refusal(on, Kind::OverQuota).await,
        seen(
            200,
            "rejected;policy=\"reject\";kind=over-quota",
            "house ad"
        )
    );
}

#[tokio::test]
async fn substitution_of_rejections_can_be_switched_off_for_all_or_one_kind() {
    let all = house_ad()
        .on_kind(Kind::OverQuota, true)
        .on_rejection(false);
    assert_eq!(refusal(all.clone(), Kind::Full).await.status, 503);
    assert_eq!(refusal(all, Kind::OverQuota).await.status, 429);
    let one = house_ad().on_kind(Kind::Full, false);
    assert_eq!(refusal(one.clone(), Kind::Full).await.status, 503);
    assert_eq!(refusal(one, Kind::CircuitOpen).await.status, 200);
}

#[tokio::test]
async fn inner_errors_are_replaced_or_returned() {
    let failing = |fallback: Fallback<Fixed>| {
        let service = fallback
            .into_layer()
            .layer(service_fn(|_: Request<()>| async {
                Err::<Response<Full<bytes::Bytes>>, _>("connection refused")
            }));
        service.oneshot(Request::new(()))
    };
    assert_eq!(
        see(failing(house_ad()).await).await,
        seen(200, "error", "house ad")
    );
    let passed = failing(house_ad().on_error(false)).await;
    assert_eq!(passed.unwrap_err(), "connection refused");
}

#[tokio::test]
async fn the_classifier_decides_what_a_failure_is() {
    let http = Http::new().classify(|status: http::StatusCode, _: &http::HeaderMap| {
        if status == 404 {
            Class::Failure
        } else {
            Class::Success
        }
    });
    let layer = house_ad().http(http).into_layer();
    let call = |status| layer.layer(service_fn(obey)).oneshot(Request::new(status));
    assert_eq!(
        see(call(404).await).await,
        seen(200, "failed;status=404", "house ad")
    );
    assert_eq!(see(call(500).await).await, seen(500, "", "inner"));
}
