//! Marks for the client and for outer layers.

use http::{HeaderValue, Request, Response, StatusCode, header::CACHE_CONTROL};
use http_body_util::Full;
use plimsoll_core::{
    GateLayer, Http, Kind, Outcome, Policy, RateLimitFields, Rejection,
    policy::{Allowance, Announcement, Verdict},
};
use plimsoll_fallback::{Cause, DEGRADED, Degraded, Fallback};
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::{RejectAs, house_ad, obey, reject};

#[tokio::test]
async fn substitutes_carry_the_cause_in_their_extensions() {
    let failed = house_ad().into_layer().layer(service_fn(obey));
    let answer = failed.oneshot(Request::new(502)).await.unwrap();
    assert_eq!(
        answer.extensions().get(),
        Some(&Degraded::Failed(StatusCode::BAD_GATEWAY))
    );

    let layer = GateLayer::builder(reject(Kind::Full))
        .protocol(house_ad())
        .build();
    let refused = layer.layer(service_fn(obey));
    let answer = refused.oneshot(Request::new(200)).await.unwrap();
    let rejection = Rejection::new("reject", Kind::Full);
    assert_eq!(
        answer.extensions().get(),
        Some(&Degraded::Rejected(rejection))
    );
    assert!(
        answer.extensions().get::<Rejection>().is_none(),
        "the substitute is not a rejection"
    );
}

#[tokio::test]
async fn the_mark_can_be_switched_off() {
    let service = house_ad().mark(false).into_layer().layer(service_fn(obey));
    let answer = service.oneshot(Request::new(500)).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(!answer.headers().contains_key(DEGRADED) && answer.extensions().is_empty());
}

#[tokio::test]
async fn the_fixed_answers_own_head_is_kept() {
    let response = Response::builder()
        .status(203)
        .header(CACHE_CONTROL, "max-age=5")
        .body("stale")
        .unwrap();
    let layer = Fallback::answer(response).into_layer();
    for _ in 0..2 {
        let service = layer.layer(service_fn(obey));
        let answer = service.oneshot(Request::new(500)).await.unwrap();
        assert_eq!(answer.status(), 203);
        assert_eq!(answer.headers()[CACHE_CONTROL], "max-age=5");
    }
}

#[tokio::test]
async fn a_substitute_without_cache_control_gets_no_store() {
    let gate = || GateLayer::builder(reject(Kind::Full));
    let fixed = gate().protocol(house_ad().mark(false)).build();
    let answer = fixed
        .layer(service_fn(obey))
        .oneshot(Request::new(200))
        .await;
    assert_eq!(answer.unwrap().headers()[CACHE_CONTROL], "no-store");

    let handler = Fallback::handler(|_: Cause| async { Response::new(Full::from("made")) });
    let made = gate().protocol(handler).build();
    let answer = made
        .layer(service_fn(obey))
        .oneshot(Request::new(200))
        .await;
    assert_eq!(answer.unwrap().headers()[CACHE_CONTROL], "no-store");
}

#[test]
fn a_policy_name_that_is_invalid_in_a_header_is_left_out() {
    let check = |name, expected: &str| {
        let degraded = Degraded::Rejected(Rejection::new(name, Kind::CircuitOpen));
        assert_eq!(degraded.header_value(), expected);
    };
    check("breaker", "rejected;policy=\"breaker\";kind=circuit-open");
    for name in ["", "two\r\nlines", "a \"quote\"", "Schutzschalter für B"] {
        check(name, "rejected;kind=circuit-open");
    }
    assert_eq!(Degraded::Error.header_value(), "error");
}

#[tokio::test]
async fn each_of_ten_policies_is_named_in_every_rejection() {
    const NAMES: [&str; 10] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    let fallback = house_ad();
    for _ in 0..3 {
        for name in NAMES {
            for kind in [Kind::Full, Kind::CircuitOpen] {
                let layer = GateLayer::builder(RejectAs(name, kind))
                    .protocol(fallback.clone())
                    .build();
                let service = layer.layer(service_fn(obey));
                let answer = service.oneshot(Request::new(200)).await.unwrap();
                let expected = format!("rejected;policy=\"{name}\";kind={}", kind.as_str());
                assert_eq!(answer.headers()[DEGRADED], expected);
            }
        }
    }
}

/// Announces two values of one header, as quotas do.
struct Announce;

impl<Req> Policy<Req> for Announce {
    type Permit = ();
    plimsoll_core::decides_at_once!(Req);

    fn admit(&self, _: &mut Req, _: tokio::time::Instant) -> Verdict<(), Self::Wait> {
        Verdict::Admit(())
    }
    fn announce(&self, (): &(), _: tokio::time::Instant, out: &mut Announcement<'_>) {
        let headers = out.headers();
        headers.append("ratelimit", HeaderValue::from_static("\"a\";r=1"));
        headers.append("ratelimit", HeaderValue::from_static("\"b\";r=2"));
    }
    fn finish(&self, (): (), _: &Outcome) {}
    fn revoke(&self, (): (), _: tokio::time::Instant, _: tokio::time::Instant) {}
}

#[tokio::test]
async fn substitutes_carry_the_quotas_of_admitted_callers() {
    let fixed = GateLayer::builder(Announce).protocol(house_ad()).build();
    let handled = Fallback::handler(|_: Cause| async { Response::new(Full::from("handled")) });
    let handled = GateLayer::builder(Announce).protocol(handled).build();
    let answers = [
        fixed
            .layer(service_fn(obey))
            .oneshot(Request::new(500))
            .await
            .map(|answer| answer.into_parts().0),
        handled
            .layer(service_fn(obey))
            .oneshot(Request::new(500))
            .await
            .map(|answer| answer.into_parts().0),
    ];
    for head in answers {
        let head = head.unwrap();
        assert!(head.headers.contains_key(DEGRADED));
        let quotas: Vec<_> = head.headers.get_all("ratelimit").iter().collect();
        assert_eq!(quotas, ["\"a\";r=1", "\"b\";r=2"]);
    }
}

/// Announces a quota.
struct Tell;

impl<Req> Policy<Req> for Tell {
    type Permit = ();
    plimsoll_core::decides_at_once!(Req);

    fn admit(&self, _: &mut Req, _: tokio::time::Instant) -> Verdict<(), Self::Wait> {
        Verdict::Admit(())
    }
    fn announce(&self, (): &(), _: tokio::time::Instant, out: &mut Announcement<'_>) {
        out.allowance(&Allowance {
            name: "a",
            limit: 9,
            window_secs: 1,
            remaining: 4,
            reset: std::time::Duration::ZERO,
        });
    }
    fn finish(&self, (): (), _: &Outcome) {}
    fn revoke(&self, (): (), _: tokio::time::Instant, _: tokio::time::Instant) {}
}

#[tokio::test]
async fn substitutes_carry_quotas_in_the_configured_fields() {
    let http = Http::new().rate_limit_fields(RateLimitFields::LEGACY);
    let layer = GateLayer::builder(Tell)
        .protocol(house_ad().http(http))
        .build();
    let service = layer.layer(service_fn(obey));
    let answer = service.oneshot(Request::new(500)).await.unwrap();
    assert!(answer.headers().contains_key(DEGRADED));
    assert!(!answer.headers().contains_key("ratelimit"));
    assert_eq!(answer.headers()["x-ratelimit-remaining"], "4");
}
