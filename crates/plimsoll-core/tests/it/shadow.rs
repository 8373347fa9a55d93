//! Shadow mode: what requests hold, and what callers see.

use std::{
    pin::Pin,
    sync::atomic::{AtomicU64, Ordering::SeqCst},
    task::{Context, Poll},
    time::Duration,
};

use http_body_util::BodyExt as _;
use plimsoll_core::{
    GateLayer, Outcome, Policy, Rejection, Shadow,
    policy::{Allowance, Announcement, Verdict},
    test_kit::{Contract, Script},
};
use tokio::time::Instant;

use crate::sample::{Slots, send};

/// A queue that grants nothing, with a count of its places.
#[derive(Debug, Default)]
struct Queue {
    places: AtomicU64,
}

impl<Req> Policy<Req> for Queue {
    type Permit = ();
    type Wait = ();

    fn admit(&self, _: &mut Req, _: Instant) -> Verdict<(), ()> {
        self.places.fetch_add(1, SeqCst);
        Verdict::Wait(())
    }
    fn poll_wait(
        &self,
        _: Pin<&mut ()>,
        _: &mut Req,
        _: Instant,
        _: &mut Context<'_>,
    ) -> Poll<Result<(), Rejection>> {
        unreachable!("a shadow does not poll a wait")
    }
    fn abandon(&self, _: Pin<&mut ()>, _: Instant) {
        self.places.fetch_sub(1, SeqCst);
    }
    fn finish(&self, (): (), _: &Outcome) {
        unreachable!("a request that would be queued holds no permit")
    }
    fn revoke(&self, (): (), _: Instant, _: Instant) {
        unreachable!("a request that would be queued holds no permit")
    }
}

#[tokio::test(start_paused = true)]
async fn a_shadow_abandons_the_wait_of_a_queueing_policy() {
    for enforced in [false, true] {
        let shadow = Shadow::new(Queue::default());
        let handle = shadow.handle();
        handle.enforce(enforced);
        let layer = GateLayer::new(shadow);
        for _ in 0..3 {
            let response = send(&layer, Script::Body).await.unwrap();
            assert_eq!(response.status(), 200);
            let places = layer.policy().get_ref().places.load(SeqCst);
            assert_eq!(places, 0, "places that were not abandoned");
            response.into_body().collect().await.unwrap();
        }
        assert_eq!(handle.would_wait(), 3);
        assert_eq!((handle.would_admit(), handle.would_reject()), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn an_enforced_shadow_keeps_the_laws_of_a_limit() {
    let enforced = || {
        let shadow = Shadow::new(Slots::new(2));
        shadow.handle().enforce(true);
        shadow
    };
    Contract::new(enforced, |shadow| shadow.get_ref().in_flight())
        .capacity(2)
        .check_all()
        .await;
}

/// Admits every request and announces a quota.
struct Announces;

impl<Req> Policy<Req> for Announces {
    type Permit = ();
    plimsoll_core::decides_at_once!(Req);

    fn admit(&self, _: &mut Req, _: Instant) -> Verdict<(), Self::Wait> {
        Verdict::Admit(())
    }
    fn announce(&self, (): &(), _: Instant, out: &mut Announcement<'_>) {
        out.allowance(&Allowance {
            name: "quota",
            limit: 10,
            window_secs: 1,
            remaining: 9,
            reset: Duration::from_secs(1),
        });
        out.threshold(300);
    }
    fn finish(&self, (): (), _: &Outcome) {}
    fn revoke(&self, (): (), _: Instant, _: Instant) {}
}

#[tokio::test(start_paused = true)]
async fn callers_see_a_shadows_quota_only_while_it_is_enforced() {
    let shadow = Shadow::new(Announces);
    let handle = shadow.handle();
    let layer = GateLayer::new(shadow);
    for enforced in [false, true, false] {
        handle.enforce(enforced);
        let response = send(&layer, Script::Body).await.unwrap();
        for name in ["ratelimit", "ratelimit-policy", "plimsoll-threshold"] {
            let announced = response.headers().contains_key(name);
            assert_eq!(announced, enforced, "{name}");
        }
    }
}
