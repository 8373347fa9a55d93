//! Services of tower that are not `Clone`, before and behind a gate.
//!
//! A gate clones the service behind it, since a queued request releases its readied service. So a
//! service that is not `Clone` goes behind a gate through `Buffer`, as in tower's own stacks.
//! Before a gate it needs no buffer.

use std::time::Duration;

use plimsoll::{GateLayer, Plain, PlainError, concurrency::ConcurrencyLimit};
use stacks::{Shout, plain_gate};
use tower::{
    BoxError, Layer as _, Service, ServiceBuilder, ServiceExt as _,
    balance::p2c::Balance,
    discover::ServiceList,
    hedge::Hedge,
    limit::RateLimitLayer,
    load::{CompleteOnResponse, Constant, PeakEwma, PendingRequests},
    spawn_ready::SpawnReadyLayer,
    steer::Steer,
    util::{BoxCloneService, BoxCloneSyncService, BoxService},
};

/// The first request is answered and the second rejected.
async fn check<S>(mut stack: S)
where
    S: Service<&'static str, Response = String, Error: Into<BoxError>>,
{
    let mut send = async |text| match stack.ready().await {
        Ok(ready) => ready.call(text).await.map_err(Into::into),
        Err(error) => Err(error.into()),
    };
    assert_eq!(send("hello").await.unwrap(), "HELLO");
    let error: BoxError = send("hello").await.unwrap_err();
    let rejection =
        PlainError::rejection_in(&*error).expect("the chain of sources has a rejection");
    assert_eq!(rejection.policy(), "rate-limit");
}

/// Capacity of the buffer in front of each service.
const BUFFER: usize = 8;

#[tokio::test(start_paused = true)]
async fn towers_rate_limit() {
    let limit = || RateLimitLayer::new(100, Duration::from_secs(1));
    check(
        ServiceBuilder::new()
            .layer(limit())
            .layer(plain_gate())
            .service(Shout),
    )
    .await;
    let inside = ServiceBuilder::new()
        .layer(plain_gate())
        .buffer(BUFFER)
        .layer(limit());
    check(inside.service(Shout)).await;
}

#[tokio::test(start_paused = true)]
async fn spawn_ready() {
    let ready = SpawnReadyLayer::new;
    check(
        ServiceBuilder::new()
            .layer(ready())
            .layer(plain_gate())
            .service(Shout),
    )
    .await;
    let inside = ServiceBuilder::new()
        .layer(plain_gate())
        .buffer(BUFFER)
        .layer(ready());
    check(inside.service(Shout)).await;
}

#[tokio::test(start_paused = true)]
async fn boxed_services() {
    check(BoxService::new(plain_gate().layer(Shout))).await;
    check(BoxCloneService::new(plain_gate().layer(Shout))).await;
    check(BoxCloneSyncService::new(plain_gate().layer(Shout))).await;

    // A box that is `Clone` needs no buffer behind a gate.
    check(plain_gate().layer(BoxCloneService::new(Shout))).await;
    check(plain_gate().layer(BoxCloneSyncService::new(Shout))).await;
    let inside = ServiceBuilder::new().layer(plain_gate()).buffer(BUFFER);
    check(inside.service(BoxService::new(Shout))).await;
}

/// Sends every request at most twice, the second time to the same gate.
#[derive(Debug, Clone)]
struct Twice;

impl tower::hedge::Policy<&'static str> for Twice {
    fn clone_request(&self, text: &&'static str) -> Option<&'static str> {
        Some(*text)
    }
    fn can_retry(&self, _: &&'static str) -> bool {
        true
    }
}

#[tokio::test(start_paused = true)]
async fn hedges() {
    let minute = Duration::from_mins(1);
    check(Hedge::new(
        plain_gate().layer(Shout),
        Twice,
        10,
        0.9,
        minute,
    ))
    .await;
    let inside = ServiceBuilder::new().layer(plain_gate()).buffer(BUFFER);
    check(inside.service(Hedge::new(Shout, Twice, 10, 0.9, minute))).await;
}

#[tokio::test(start_paused = true)]
async fn a_balancer_behind_a_gate() {
    let callees = ServiceList::new([1, 2].map(|load| Constant::new(Shout, load)));
    let stack = ServiceBuilder::new().layer(plain_gate()).buffer(BUFFER);
    check(stack.service(Balance::new(callees))).await;
}

#[tokio::test(start_paused = true)]
async fn a_balancer_over_gates_that_share_a_policy() {
    let gate = plain_gate();
    let constant = [1, 2].map(|load| Constant::new(gate.layer(Shout), load));
    check(Balance::new(ServiceList::new(constant))).await;

    let gate = plain_gate();
    let pending =
        [(), ()].map(|()| PendingRequests::new(gate.layer(Shout), CompleteOnResponse::default()));
    check(Balance::new(ServiceList::new(pending))).await;

    let gate = plain_gate();
    let second = Duration::from_secs(1);
    let ewma = [(), ()].map(|()| {
        PeakEwma::new(
            gate.layer(Shout),
            second,
            second.as_nanos() as f64,
            CompleteOnResponse::default(),
        )
    });
    check(Balance::new(ServiceList::new(ewma))).await;
}

/// With the feature `load`, a gate whose policy is a load signal reports its own load to the
/// balancer.
#[tokio::test(start_paused = true)]
async fn a_balancer_over_gates_that_report_their_load() {
    let gates = [(), ()].map(|()| {
        let limit = ConcurrencyLimit::new(4).unwrap();
        GateLayer::builder(limit)
            .protocol(Plain::new())
            .build()
            .layer(Shout)
    });
    let mut balance = Balance::new(ServiceList::new(gates));
    for _ in 0..10 {
        assert_eq!(
            balance.ready().await.unwrap().call("hello").await.unwrap(),
            "HELLO"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn steering_between_gates() {
    let gate = plain_gate();
    let pick = |text: &&'static str, _: &[_]| usize::from(text.len() > 5);
    check(Steer::new([gate.layer(Shout), gate.layer(Shout)], pick)).await;
}
