//! A single policy is a layer: `into_layer`, and the names of the layers' types.

use std::convert::Infallible;

use axum::{Router, body::Body, routing::get};
use http::{Request, Response, StatusCode};
use plimsoll::{
    ByHeader, Choose, ClientIp, Deadlines, GateLayer, Keyed, Missing, Policy, Shadow, When,
    circuit_breaker::{CircuitBreaker, CircuitBreakerLayer},
    concurrency::{ConcurrencyLimit, ConcurrencyLimitLayer},
    fallback::{Fallback, FallbackLayer},
    load_shed::{AdaptiveShed, LoadShed, LoadShedLayer},
    policy::Then,
    rate_limit::{KeyedRateLimitLayer, Quota, RateLimit, RateLimitLayer},
    sampling::{Rates, Sampling, SamplingLayer},
};
use tower::{Layer, ServiceExt as _, service_fn};

type Req = Request<Body>;
type Error = Box<dyn std::error::Error>;

/// Sends two requests through a layer and returns the statuses. The first response is held.
async fn two_statuses<P: Policy<Req> + 'static>(layer: GateLayer<P>) -> [StatusCode; 2] {
    let service = layer.layer(service_fn(|_: Req| async {
        Ok::<_, Infallible>(Response::new(Body::from("hello")))
    }));
    let first = service.clone().oneshot(Req::default()).await.unwrap();
    let second = service.oneshot(Req::default()).await.unwrap();
    [first.status(), second.status()]
}

#[tokio::test]
async fn a_policy_is_a_layer_with_the_default_protocol() -> Result<(), Error> {
    let full = [StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE];
    let limit: ConcurrencyLimitLayer = ConcurrencyLimit::new(1)?.into_layer();
    assert_eq!(two_statuses(limit).await, full);

    let spent = [StatusCode::OK, StatusCode::TOO_MANY_REQUESTS];
    let rate: RateLimitLayer = RateLimit::new(Quota::per_minute(1))?.into_layer();
    assert_eq!(two_statuses(rate).await, spent);
    let by_ip =
        RateLimit::new(Quota::per_minute(1))?.per_key(ClientIp::peer(), Missing::Share, 1_000)?;
    let by_ip: KeyedRateLimitLayer<ClientIp> = by_ip.into_layer();
    assert_eq!(two_statuses(by_ip).await, spent);

    let shed: LoadShedLayer<_> = LoadShed::new(|| 2.0).into_layer();
    assert_eq!(
        two_statuses(shed).await,
        [StatusCode::SERVICE_UNAVAILABLE; 2]
    );

    let breaker: CircuitBreakerLayer = CircuitBreaker::new().into_layer();
    assert_eq!(two_statuses(breaker).await, [StatusCode::OK; 2]);
    let sampling: SamplingLayer<_> = Sampling::new(|| 0.0, Rates::DEFAULT)?.into_layer();
    assert_eq!(two_statuses(sampling).await, [StatusCode::OK; 2]);
    Ok(())
}

#[tokio::test]
async fn a_combinator_is_a_layer_as_well() -> Result<(), Error> {
    let limit = || ConcurrencyLimit::new(1);
    let full = [StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE];
    let free = [StatusCode::OK; 2];
    let every = |_: &Req| true;
    assert_eq!(
        two_statuses(When::new(every, limit()?).into_layer()).await,
        full
    );
    assert_eq!(two_statuses(Then((), limit()?).into_layer()).await, full);
    assert_eq!(two_statuses(Shadow::new(limit()?).into_layer()).await, free);
    let first = |_: &Req| Some(0);
    let choose = Choose::new(first, [limit()?], limit()?);
    assert_eq!(two_statuses(choose.into_layer()).await, full);
    let each = limit()?;
    let keyed = Keyed::new(ClientIp::peer(), Missing::Share, 1_000, move || each.cell())?;
    assert_eq!(two_statuses(keyed.into_layer()).await, full);
    assert_eq!(two_statuses(Deadlines::new().into_layer()).await, free);
    let priorities = ByHeader::untrusted(ClientIp::peer());
    assert_eq!(two_statuses(priorities.into_layer()).await, free);
    Ok(())
}

#[tokio::test]
async fn layers_of_single_policies_stack_under_axum() -> Result<(), Error> {
    let page: FallbackLayer<_> = Fallback::answer(Response::new("page")).into_layer();
    let app: Router = Router::new()
        .route("/", get(|| async { "hello" }))
        .layer(RateLimit::new(Quota::per_minute(1))?.into_layer())
        .layer(AdaptiveShed::new(|| 0.0).into_layer())
        .layer(page);
    let first = app.clone().oneshot(Req::default()).await?;
    let second = app.oneshot(Req::default()).await?;
    assert_eq!(
        [first.status(), second.status()],
        [StatusCode::OK, StatusCode::TOO_MANY_REQUESTS],
        "a caller over its quota gets no substitute"
    );
    Ok(())
}
