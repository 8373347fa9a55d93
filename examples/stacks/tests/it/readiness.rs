//! `Pending` means that the service behind the gate is not ready. A full gate is ready, and rejects
//! in `call`.
//!
//! tower's `LoadShed` turns `Pending` into an error, so around a gate it never acts on the gate's
//! limit.

use std::{
    convert::Infallible,
    future::{Pending, pending},
    task::{Context, Poll},
    time::Duration,
};

use futures_util::poll;
use http::{Request, Response};
use plimsoll::{GateLayer, Plain, PlainError, Rejection, concurrency::ConcurrencyLimit};
use tower::{
    BoxError, Layer as _, Service, ServiceBuilder, ServiceExt as _,
    limit::ConcurrencyLimitLayer,
    load_shed::{LoadShedLayer, error::Overloaded},
    service_fn,
};

/// Never answers: the gate is full while one such request is held.
async fn hang(_: Request<String>) -> Result<Response<String>, Infallible> {
    pending().await
}

fn request() -> Request<String> {
    Request::new(String::new())
}

#[tokio::test(start_paused = true)]
async fn a_full_gate_is_ready_and_rejects_in_call() {
    let layer = GateLayer::new(ConcurrencyLimit::new(1).unwrap());
    let mut gate = layer.layer(service_fn(hang));
    let mut running = Box::pin(gate.ready().await.unwrap().call(request()));
    assert!(poll!(&mut running).is_pending());

    let ready = gate.poll_ready(&mut Context::from_waker(std::task::Waker::noop()));
    assert!(matches!(ready, Poll::Ready(Ok(()))), "a full gate is ready");
    let rejected = gate.call(request()).await.unwrap();
    assert_eq!(rejected.status(), 503);
    assert!(rejected.headers().contains_key("retry-after"));
}

#[tokio::test(start_paused = true)]
async fn towers_load_shed_around_a_full_gate_returns_the_rejection_of_the_gate() {
    let layer = GateLayer::new(ConcurrencyLimit::new(1).unwrap());
    let stack = ServiceBuilder::new()
        .layer(LoadShedLayer::new())
        .layer(layer)
        .service_fn(hang);
    let mut running = Box::pin(stack.clone().oneshot(request()));
    assert!(poll!(&mut running).is_pending());

    let rejected = stack
        .oneshot(request())
        .await
        .expect("a response instead of an error of `LoadShed`");
    assert_eq!(rejected.status(), 503);
    assert_eq!(
        rejected.extensions().get::<Rejection>().unwrap().policy(),
        "concurrency"
    );
}

#[tokio::test(start_paused = true)]
async fn a_queued_request_is_not_shed_by_towers_load_shed() {
    let queue = ConcurrencyLimit::new(1)
        .unwrap()
        .queue(8, Duration::from_secs(9))
        .unwrap();
    let handle = queue.handle();
    let stack = ServiceBuilder::new()
        .layer(LoadShedLayer::new())
        .layer(GateLayer::new(queue))
        .service_fn(hang);
    let mut calls: Vec<_> = (0..3)
        .map(|_| Box::pin(stack.clone().oneshot(request())))
        .collect();
    for call in &mut calls {
        assert!(poll!(call).is_pending());
    }
    assert_eq!((handle.in_flight(), handle.queued()), (1, 2));
}

/// A service that is never ready.
#[derive(Debug, Clone)]
struct NeverReady;

impl Service<Request<String>> for NeverReady {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Pending<Result<Response<String>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Pending
    }
    fn call(&mut self, _: Request<String>) -> Self::Future {
        pending()
    }
}

#[tokio::test(start_paused = true)]
async fn a_gate_is_pending_while_its_inner_service_is_pending() {
    let layer = GateLayer::new(ConcurrencyLimit::new(1).unwrap());
    let handle = layer.policy().handle();
    let mut gate = layer.layer(NeverReady);
    assert!(poll!(std::pin::pin!(gate.ready())).is_pending());
    assert_eq!(handle.in_flight(), 0, "`poll_ready` reserves nothing");

    // The service is not ready, so `LoadShed` rejects.
    let shed = ServiceBuilder::new()
        .layer(LoadShedLayer::new())
        .layer(layer)
        .service(NeverReady);
    let error = shed.oneshot(request()).await.unwrap_err();
    assert!(error.is::<Overloaded>());
}

/// Behind a gate, `LoadShed` turns a full tower limit into an error. The gate counts it as a
/// failure of the service.
#[tokio::test(start_paused = true)]
async fn towers_load_shed_behind_a_gate_fails_the_call() {
    let gate = GateLayer::builder(ConcurrencyLimit::new(8).unwrap())
        .protocol(Plain::new())
        .build();
    let stack = ServiceBuilder::new()
        .layer(gate)
        .layer(LoadShedLayer::new())
        .layer(ConcurrencyLimitLayer::new(1))
        .service_fn(hang);
    let mut running = Box::pin(stack.clone().oneshot(request()));
    assert!(poll!(&mut running).is_pending());
    let error = BoxError::from(stack.oneshot(request()).await.unwrap_err());
    assert!(
        PlainError::rejection_in(&*error).is_none(),
        "not a rejection of the gate: {error}"
    );
}
