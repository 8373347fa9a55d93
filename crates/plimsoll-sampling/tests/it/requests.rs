//! Marks and rejections of requests.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use plimsoll_core::{
    GateLayer, HeaderKey, Kind, Policy, Rejection, policy::Verdict, test_kit::RejectAll,
};
use plimsoll_sampling::{ByKey, Rates, Sampled, Sampling, SamplingLayer};
use proptest::prelude::*;
use tokio::time::Instant;
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::Load;

const NONE_AT_FULL_LOAD: Rates = Rates {
    base: 1.0,
    min: 0.0,
    threshold: 0.7,
};

/// Answers with the mark of the request.
async fn echo(req: Request<()>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mark = req.extensions().get::<Sampled>();
    assert_eq!(mark.copied().unwrap_or(Sampled::ALL), Sampled::of(&req));
    Ok(Response::new(Full::new(format!("{mark:?}").into())))
}

async fn get<P: Policy<Request<()>> + 'static>(layer: &GateLayer<P>) -> (StatusCode, String) {
    let response = layer
        .layer(service_fn(echo))
        .oneshot(Request::new(()))
        .await
        .expect("infallible");
    let status = response.status();
    if status == StatusCode::ACCEPTED {
        let rejection = response
            .extensions()
            .get::<Rejection>()
            .expect("in the extensions");
        assert_eq!(
            (rejection.policy(), rejection.kind()),
            ("sampling", Kind::Skipped)
        );
        assert_eq!(rejection.retry_after(), None);
        assert!(!response.headers().contains_key("retry-after"));
    }
    let body = response
        .into_body()
        .collect()
        .await
        .expect("infallible")
        .to_bytes();
    (status, String::from_utf8(body.to_vec()).expect("text"))
}

#[tokio::test]
async fn marks_only_when_the_rate_is_below_one() {
    let load = Load::new(0.7);
    let layer = SamplingLayer::new(Sampling::new(load.clone(), NONE_AT_FULL_LOAD).expect("valid"));
    assert_eq!(get(&layer).await, (StatusCode::OK, "None".to_owned()));
    load.set(1.0);
    let left_out = "Some(Sampled { keep: false, rate: 0.0 })".to_owned();
    assert_eq!(get(&layer).await, (StatusCode::OK, left_out));
    load.set(f64::NAN);
    assert_eq!(get(&layer).await, (StatusCode::OK, "None".to_owned()));
    let handle = layer.policy().handle();
    assert_eq!((handle.kept(), handle.skipped()), (2, 1));
}

#[tokio::test]
async fn ingest_routes_reject_with_202() {
    let load = Load::new(0.0);
    let sampling = Sampling::new(load.clone(), NONE_AT_FULL_LOAD)
        .expect("valid")
        .reject();
    let layer = GateLayer::new(sampling);
    assert_eq!(get(&layer).await.0, StatusCode::OK);
    load.set(1.0);
    assert_eq!(get(&layer).await, (StatusCode::ACCEPTED, String::new()));
    let handle = layer.policy().handle();
    assert_eq!((handle.kept(), handle.skipped()), (1, 1));
}

#[tokio::test]
async fn kept_requests_of_an_ingest_route_carry_their_weight() {
    let load = Load::new(0.0);
    let half = Rates {
        base: 1.0,
        min: 0.5,
        threshold: 0.7,
    };
    let sampling = Sampling::new(load.clone(), half).expect("valid");
    let layer = GateLayer::new(sampling.reject_and_mark());
    assert_eq!(get(&layer).await, (StatusCode::OK, "None".to_owned()));
    load.set(1.0);
    let marked = "Some(Sampled { keep: true, rate: 0.5 })";
    for _ in 0..100 {
        let (status, body) = get(&layer).await;
        let expected = if status == StatusCode::OK { marked } else { "" };
        assert_eq!(body, expected);
    }
    let handle = layer.policy().handle();
    assert_eq!(handle.kept() + handle.skipped(), 101);
    assert!(handle.kept() > 20 && handle.skipped() > 20);
}

#[tokio::test]
async fn requests_of_any_type_can_be_rejected() {
    let sampling = Sampling::new(Load::new(2.0), NONE_AT_FULL_LOAD)
        .expect("valid")
        .reject();
    let verdict = sampling.admit(&mut "a job", Instant::now());
    assert!(matches!(verdict, Verdict::Reject(_)));
}

#[tokio::test]
async fn a_request_that_a_later_policy_rejects_is_not_counted() {
    for load in [0.0, 2.0] {
        let sampling = Sampling::new(Load::new(load), NONE_AT_FULL_LOAD).expect("valid");
        let handle = sampling.handle();
        get(&GateLayer::new((sampling, RejectAll))).await;
        assert_eq!((handle.kept(), handle.skipped()), (0, 0));
    }
}

fn of_key(key: &str) -> Request<()> {
    let mut req = Request::new(());
    req.headers_mut()
        .insert("traceparent", key.parse().expect("a header"));
    req
}

fn kept<P: Policy<Request<()>>>(sampling: &P, mut req: Request<()>) -> bool {
    assert!(matches!(
        sampling.admit(&mut req, Instant::now()),
        Verdict::Admit(_)
    ));
    Sampled::of(&req).keep
}

#[test]
fn requests_without_a_key_are_drawn_at_random_and_counted() {
    let half = Rates {
        base: 1.0,
        min: 0.5,
        threshold: 0.7,
    };
    let key = HeaderKey::from_static("traceparent");
    let sampling = Sampling::new(Load::new(1.0), half)
        .expect("valid")
        .by_key(key);
    let some = (0..1000)
        .filter(|_| kept(&sampling, Request::new(())))
        .count();
    assert!((400..600).contains(&some), "{some}");
    assert_eq!(sampling.get_draw().keyless(), 1000);
}

proptest! {
    /// A key that is kept at a rate is kept at every higher rate, in every process with the same
    /// salt.
    #[test]
    fn a_key_kept_at_a_rate_is_kept_at_every_higher_one(
        key in "[a-z0-9-]{1,40}",
        salt: u64,
        mut loads in proptest::collection::vec(0.7..1.0_f64, 2..20),
    ) {
        let load = Load::new(0.0);
        let by_key = || ByKey::new(HeaderKey::from_static("traceparent")).salt(salt);
        let sampling = || Sampling::new(load.clone(), NONE_AT_FULL_LOAD).expect("valid").draw(by_key());
        let (one, other) = (sampling(), sampling());
        loads.sort_by(f64::total_cmp);
        let mut before = true;
        for at in loads {
            load.set(at);
            let now = kept(&one, of_key(&key));
            prop_assert_eq!(now, kept(&other, of_key(&key)));
            prop_assert!(before || !now, "left out, but kept at a lower rate");
            before = now;
        }
    }
}
