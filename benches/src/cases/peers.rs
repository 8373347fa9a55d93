//! Breakers and a throttle of other crates: `failsafe`, `recloser`, `loadpace-tower`.
//!
//! The breakers are no Tower layers: a service that calls them stands for what a user would write.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use failsafe::futures::CircuitBreaker as _;
use http::Request;
use http_body_util::Full;
use loadpace::EndpointConfig;
use loadpace_tower::AdaptiveEndpoint;
use recloser::{AsyncRecloser, Recloser};
use tower::{Service, service_fn};

use super::{
    Case, Empty,
    bare::{Bare, HTTP},
};

type Inner = Bare<Full<Bytes>>;

/// Long enough that nothing recovers during a measurement.
const HOUR: Duration = Duration::from_secs(3600);

/// The cases.
pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("failsafe/circuit-breaker@accept", HTTP, || {
            let breaker = failsafe::Config::new().build();
            service_fn(move |req| breaker.call(answer(req)))
        }),
        Case::new("failsafe/circuit-breaker@reject", HTTP, || {
            let hour = failsafe::backoff::constant(HOUR);
            let policy = failsafe::failure_policy::consecutive_failures(1, hour);
            let breaker = failsafe::Config::new().failure_policy(policy).build();
            _ = failsafe::CircuitBreaker::call(&breaker, || Err::<(), ()>(()));
            service_fn(move |req| breaker.call(answer(req)))
        }),
        Case::new("recloser/circuit-breaker@accept", HTTP, || {
            let breaker = AsyncRecloser::from(Recloser::custom().closed_len(100).build());
            service_fn(move |req| breaker.call(answer(req)))
        }),
        Case::new("recloser/circuit-breaker@reject", HTTP, || {
            let breaker = Recloser::custom().closed_len(1).open_wait(HOUR).build();
            for _ in 0..3 {
                _ = breaker.call(|| Err::<(), ()>(()));
            }
            let breaker = AsyncRecloser::from(breaker);
            service_fn(move |req| breaker.call(answer(req)))
        }),
        // Paces calls by a timer.
        Case::slow("loadpace-tower/endpoint@accept", HTTP, || {
            Endpoint(AdaptiveEndpoint::new(Inner::OK, EndpointConfig::default()))
        }),
    ]
}

fn answer(req: Request<Empty>) -> <Inner as Service<Request<Empty>>>::Future {
    let mut inner = Inner::OK;
    inner.call(req)
}

/// An endpoint has one owner: a clone is another endpoint.
struct Endpoint(AdaptiveEndpoint<Inner>);

impl Clone for Endpoint {
    fn clone(&self) -> Self {
        Self(AdaptiveEndpoint::new(Inner::OK, EndpointConfig::default()))
    }
}

impl Service<Request<Empty>> for Endpoint {
    type Response = <AdaptiveEndpoint<Inner> as Service<Request<Empty>>>::Response;
    type Error = <AdaptiveEndpoint<Inner> as Service<Request<Empty>>>::Error;
    type Future = <AdaptiveEndpoint<Inner> as Service<Request<Empty>>>::Future;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Service::<Request<Empty>>::poll_ready(&mut self.0, cx)
    }

    #[inline]
    fn call(&mut self, req: Request<Empty>) -> Self::Future {
        self.0.call(req)
    }
}
