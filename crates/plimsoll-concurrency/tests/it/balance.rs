//! The load of a gate, as tower's balancers read it.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode},
    routing::get,
};
use plimsoll_concurrency::{ConcurrencyLimit, ConcurrencyLimitHandle};
use plimsoll_core::{Gate, GateLayer, LoadSignal as _};
use tower::{
    Layer as _, Service as _, ServiceExt, balance::p2c::Balance, discover::ServiceList,
    load::Load as _,
};

/// A backend that counts its calls, behind limits of ten and of twenty.
struct Backend {
    gate: Gate<Router, (ConcurrencyLimit, ConcurrencyLimit), plimsoll_core::Http>,
    handle: ConcurrencyLimitHandle,
    calls: Arc<AtomicUsize>,
}

fn backend() -> Backend {
    let limits = (
        ConcurrencyLimit::new(10).unwrap(),
        ConcurrencyLimit::new(20).unwrap(),
    );
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let router = Router::new().route(
        "/",
        get(|| async move {
            count.fetch_add(1, SeqCst);
            "hello"
        }),
    );
    Backend {
        handle: limits.0.handle(),
        gate: GateLayer::new(limits).layer(router),
        calls,
    }
}

#[tokio::test]
async fn a_balancer_sends_to_the_backend_that_is_not_full() {
    let (full, free) = (backend(), backend());
    let mut held = Vec::new();
    for _ in 0..10 {
        let response = full.gate.clone().oneshot(Request::new(Body::empty()));
        held.push(response.await.unwrap());
    }
    assert_eq!(full.handle.load(), 1.0);
    assert_eq!(
        full.gate.load(),
        1.0,
        "the higher load of the two limits counts"
    );
    assert_eq!(free.gate.load(), 0.0);
    let ready = ServiceExt::<Request<Body>>::ready_oneshot(full.gate.clone());
    assert!(ready.await.is_ok(), "a full gate is still ready");

    let mut balance = Balance::new(ServiceList::new::<Request<Body>>(vec![
        full.gate, free.gate,
    ]));
    for _ in 0..100 {
        let response = balance
            .ready()
            .await
            .unwrap()
            .call(Request::new(Body::empty()));
        assert_eq!(response.await.unwrap().status(), StatusCode::OK);
    }
    assert_eq!(
        (full.calls.load(SeqCst), free.calls.load(SeqCst)),
        (10, 100)
    );

    // When both are idle, both get requests.
    held.clear();
    for _ in 0..100 {
        let response = balance
            .ready()
            .await
            .unwrap()
            .call(Request::new(Body::empty()));
        assert_eq!(response.await.unwrap().status(), StatusCode::OK);
    }
    assert!(
        full.calls.load(SeqCst) > 10 + 10,
        "{full:?}",
        full = full.calls
    );
}
