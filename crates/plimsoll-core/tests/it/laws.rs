//! The laws of the design, as far as core alone must keep them. Policies test their part in their
//! crates, and the facade tests the whole stack.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use http_body_util::BodyExt as _;
use plimsoll_core::{
    Class, GateLayer, HeaderKey, Keyed, Missing, Outcome, Rejection,
    test_kit::{Audited, Contract, RejectAll, Script, Scripted},
};
use tower::{Layer as _, Service as _, ServiceExt as _};

use crate::sample::{Door, Slots, send};

fn slots() -> Contract<Slots> {
    Contract::new(|| Slots::new(3), Slots::in_flight).capacity(3)
}

#[tokio::test(start_paused = true)]
async fn law_01_state_is_shared_across_layer_calls() {
    slots().law_01_state_is_shared_across_layer_calls().await;
}

#[tokio::test(start_paused = true)]
async fn law_02_every_permit_ends_exactly_once() {
    slots().law_02_every_permit_ends_exactly_once().await;
}

#[tokio::test(start_paused = true)]
async fn law_02_a_wait_granted_just_before_it_is_abandoned_keeps_nothing() {
    for poll_after_opening in [false, true] {
        let layer = GateLayer::new((Slots::new(9), Audited::new(Door::default())));
        let (slots, door) = layer.policy();
        let mut gate = layer.layer(Scripted::default());
        let mut call = Box::pin(gate.ready().await.unwrap().call(Default::default()));
        assert!(futures_util::poll!(&mut call).is_pending());
        assert_eq!(
            slots.in_flight(),
            1,
            "the first policy's permit is held while the request is queued in the second"
        );
        door.get_ref().open();
        if poll_after_opening {
            assert!(futures_util::poll!(&mut call).is_ready());
        }
        drop(call);
        assert_eq!((slots.in_flight(), door.get_ref().inside()), (0, 0));
        assert_eq!((door.audit().waiting(), door.audit().outstanding()), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn law_02_a_granted_request_dropped_before_the_service_is_ready_is_revoked() {
    let layer = GateLayer::new(Audited::new(Door::default()));
    let (inner, handle) = service_with_readiness();
    let mut gate = layer.layer(inner);
    handle.ready(true);
    let mut call = Box::pin(gate.ready().await.unwrap().call(Default::default()));
    handle.ready(false);
    layer.policy().get_ref().open();
    assert!(
        futures_util::poll!(&mut call).is_pending(),
        "granted, but the service is not ready"
    );
    assert_eq!(layer.policy().get_ref().inside(), 1);
    drop(call);
    assert_eq!(layer.policy().get_ref().inside(), 0);
    let audit = layer.policy().audit();
    assert_eq!((audit.revoked(), audit.finished()), (1, 0), "it never ran");
}

#[tokio::test(start_paused = true)]
async fn law_03_a_rejected_request_has_spent_nothing() {
    slots().law_03_a_rejected_request_has_spent_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn law_03_a_rejection_after_a_wait_revokes_earlier_permits() {
    let layer = GateLayer::new((Slots::new(1), Door::default()));
    let mut call = Box::pin(send(&layer, Script::Body));
    assert!(futures_util::poll!(&mut call).is_pending());
    layer.policy().1.shut_for_good();
    let response = call.await.unwrap();
    assert_eq!(
        response.extensions().get::<Rejection>().unwrap().policy(),
        "door"
    );
    assert_eq!(layer.policy().0.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn law_03_a_panic_in_a_later_policy_revokes_earlier_permits() {
    let panics = plimsoll_core::When::new(|_: &http::Request<()>| panic!("a user's closure"), ());
    let layer = GateLayer::new((Slots::new(1), panics));
    let call = tokio::spawn({
        let layer = layer.clone();
        async move { send(&layer, Script::Body).await.map(|_| ()) }
    });
    assert!(call.await.unwrap_err().is_panic());
    assert_eq!(layer.policy().0.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn law_04_nothing_is_reserved_in_poll_ready() {
    slots().law_04_nothing_is_reserved_in_poll_ready().await;
}

#[tokio::test(start_paused = true)]
async fn law_04_a_queued_request_releases_the_readied_service() {
    let layer = GateLayer::new(Door::default());
    let inner = Scripted::default();
    let mut gate = layer.layer(inner.clone());
    let mut call = Box::pin(gate.ready().await.unwrap().call(Default::default()));
    assert!(futures_util::poll!(&mut call).is_pending());
    assert_eq!(
        inner.reserved(),
        0,
        "a queued request holds no place downstream"
    );
    layer.policy().open();
    call.await.unwrap();
    assert!(!inner.was_called_unready());
}

#[tokio::test(start_paused = true)]
async fn law_05_pending_only_after_a_waker_was_registered() {
    slots()
        .law_05_a_waiting_request_does_not_wake_itself()
        .await;
    let layer = GateLayer::new(Door::default());
    let call = tokio::spawn({
        let layer = layer.clone();
        async move {
            send(&layer, Script::Status(http::StatusCode::OK))
                .await
                .map(|_| ())
        }
    });
    tokio::task::yield_now().await;
    layer.policy().open();
    call.await.unwrap().unwrap();
}

#[test]
fn law_06_nothing_is_allocated_on_the_accept_path() {
    use std::task::{Context, Waker};
    let inner = tower::service_fn(|_: http::Request<()>| {
        std::future::ready(Ok::<_, std::convert::Infallible>(http::Response::new(
            http_body_util::Full::new(bytes::Bytes::from_static(b"hello")),
        )))
    });
    let policies = (Atomic::default(), Atomic::default(), Atomic::default());
    let mut gate = GateLayer::new(policies).layer(inner);
    let mut cx = Context::from_waker(Waker::noop());
    let mut requests: Vec<_> = (0..100).map(|_| http::Request::new(())).collect();
    let allocations = allocation_counter::measure(|| {
        while let Some(request) = requests.pop() {
            assert!(gate.poll_ready(&mut cx).is_ready());
            let call = std::pin::pin!(gate.call(request));
            let std::task::Poll::Ready(Ok(response)) = call.poll(&mut cx) else {
                panic!("the call was not ready at once")
            };
            let mut body = std::pin::pin!(response.into_body().collect());
            // The reader's collecting allocates a list of chunks; `bare` measures the same.
            _ = body.as_mut().poll(&mut cx);
        }
    });
    let bare = allocation_counter::measure(|| {
        for _ in 0..100 {
            let body = http_body_util::Full::new(bytes::Bytes::from_static(b"hello"));
            let mut body = std::pin::pin!(body.collect());
            _ = body.as_mut().poll(&mut cx);
        }
    });
    assert_eq!(allocations.count_total, bare.count_total);
}

/// Counts with an atomic, as a policy should.
#[derive(Default)]
struct Atomic(AtomicU64);

impl<Req> plimsoll_core::Policy<Req> for Atomic {
    type Permit = ();
    plimsoll_core::decides_at_once!(Req);
    fn admit(
        &self,
        _: &mut Req,
        _: tokio::time::Instant,
    ) -> plimsoll_core::policy::Verdict<(), std::convert::Infallible> {
        self.0.fetch_add(1, SeqCst);
        plimsoll_core::policy::Verdict::Admit(())
    }
    fn finish(&self, (): (), _: &Outcome) {
        self.0.fetch_sub(1, SeqCst);
    }
    fn revoke(&self, (): (), _: tokio::time::Instant, _: tokio::time::Instant) {
        self.0.fetch_sub(1, SeqCst);
    }
}

#[tokio::test(start_paused = true)]
async fn law_07_a_flood_of_keys_stays_within_its_bound_and_is_counted() {
    let keyed = Keyed::new(
        HeaderKey::from_static("x-key"),
        Missing::Reject(plimsoll_core::Kind::OverQuota),
        512,
        || Slots::new(1),
    )
    .unwrap();
    let handle = keyed.handle();
    let layer = GateLayer::new(keyed);
    let mut running = Vec::new();
    for n in 0..4_000 {
        let mut req = plimsoll_core::test_kit::request(Script::EndlessBody);
        req.headers_mut().insert("x-key", n.into());
        running.push(crate::sample::send_request(&layer, req).await.unwrap());
    }
    assert!(handle.keys() <= handle.capacity());
    assert!(
        handle.overflowed() > 3_000,
        "requests without a cell are counted: {}",
        handle.overflowed()
    );
    let rejected = running.iter().filter(|r| r.status() == 503).count();
    assert!(
        rejected > 3_000,
        "requests without a cell are limited together: {rejected}"
    );
}

#[tokio::test(start_paused = true)]
async fn law_08_latency_uses_the_clock_that_tests_can_pause() {
    let layer = GateLayer::new(Slots::new(1));
    let inner = tower::service_fn(|_: http::Request<()>| async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        Ok::<_, std::convert::Infallible>(http::Response::new(http_body_util::Full::new(
            bytes::Bytes::from_static(b"slow"),
        )))
    });
    let response = layer
        .layer(inner)
        .oneshot(http::Request::new(()))
        .await
        .unwrap();
    tokio::time::advance(Duration::from_secs(60)).await;
    let before = tokio::time::Instant::now();
    response.into_body().collect().await.unwrap();
    let outcome = layer.policy().last();
    assert_eq!(
        outcome.latency(),
        Duration::from_secs(3),
        "the latency excludes the body"
    );
    assert_eq!(outcome.ended(), before, "the permit ends with the body");
}

#[test]
fn law_09_a_bad_setting_fails_at_construction_and_names_field_and_bound() {
    for capacity in [0, usize::MAX] {
        let error = Keyed::new(
            HeaderKey::from_static("k"),
            Missing::Share,
            capacity,
            || Slots::new(1),
        )
        .map(|_| ())
        .unwrap_err()
        .to_string();
        assert!(
            error.contains("capacity") && error.contains("1 to 2^28"),
            "{error}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn law_11_a_late_outcome_reaches_the_policy_that_granted_the_permit() {
    // A circuit breaker's generation travels with its permits.
    let layer = GateLayer::new((Audited::new(Slots::new(2)), Audited::new(Slots::new(2))));
    let first = send(&layer, Script::EndlessBody).await.unwrap();
    let second = send(&layer, Script::Body).await.unwrap();
    second.into_body().collect().await.unwrap();
    drop(first);
    let (a, b) = layer.policy();
    assert_eq!(a.audit().classes(), [Class::Success, Class::Success]);
    assert_eq!(b.audit().classes(), [Class::Success, Class::Success]);
}

#[tokio::test(start_paused = true)]
async fn law_12_a_policy_in_a_tuple_decides_as_it_does_alone() {
    let alone = GateLayer::new(Slots::new(2));
    let fused = GateLayer::new(((), Slots::new(2), ()));
    let eight = GateLayer::new(((), (), (), (), (), (), (), Slots::new(2)));
    let mut statuses = [vec![], vec![], vec![]];
    let mut running = (vec![], vec![], vec![]);
    for _ in 0..4 {
        let r = send(&alone, Script::EndlessBody).await.unwrap();
        statuses[0].push(r.status().as_u16());
        running.0.push(r);
        let r = send(&fused, Script::EndlessBody).await.unwrap();
        statuses[1].push(r.status().as_u16());
        running.1.push(r);
        let r = send(&eight, Script::EndlessBody).await.unwrap();
        statuses[2].push(r.status().as_u16());
        running.2.push(r);
    }
    assert_eq!(
        statuses,
        [
            [200, 200, 503, 503],
            [200, 200, 503, 503],
            [200, 200, 503, 503]
        ]
    );
    _ = RejectAll;
}

/// A service whose readiness the test sets.
fn service_with_readiness() -> (Readied, Readiness) {
    let ready = Arc::new(std::sync::atomic::AtomicBool::new(true));
    (
        Readied {
            ready: Arc::clone(&ready),
        },
        Readiness { ready },
    )
}

#[derive(Clone)]
struct Readied {
    ready: Arc<std::sync::atomic::AtomicBool>,
}

struct Readiness {
    ready: Arc<std::sync::atomic::AtomicBool>,
}

impl Readiness {
    fn ready(&self, ready: bool) {
        self.ready.store(ready, SeqCst);
    }
}

impl tower::Service<http::Request<()>> for Readied {
    type Response = http::Response<http_body_util::Empty<bytes::Bytes>>;
    type Error = std::convert::Infallible;
    type Future = std::future::Ready<Result<Self::Response, Self::Error>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Self::Error>> {
        if self.ready.load(SeqCst) {
            std::task::Poll::Ready(Ok(()))
        } else {
            std::task::Poll::Pending
        }
    }

    fn call(&mut self, _: http::Request<()>) -> Self::Future {
        std::future::ready(Ok(http::Response::default()))
    }
}
