//! Shadow mode: what requests hold, and what callers see.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    task::{Context, Poll},
    time::Duration,
};

use http::HeaderName;
use http_body_util::BodyExt as _;
use plimsoll_core::{
    ApiKey, Authority, Choose, ClientIp, GateLayer, HeaderKey, Key, Kind, Outcome, Policy,
    Rejection, Route, Shadow,
    key::PeerAddr,
    labelled,
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

/// Rejects every request for the reason in it.
struct Rejects(Kind);

impl<Req> Policy<Req> for Rejects {
    type Permit = ();
    plimsoll_core::decides_at_once!(Req);

    fn admit(&self, _: &mut Req, _: Instant) -> Verdict<(), Self::Wait> {
        Verdict::Reject(Rejection::new("rejects", self.0))
    }
    fn finish(&self, (): (), _: &Outcome) {}
    fn revoke(&self, (): (), _: Instant, _: Instant) {}
}

/// A request with this value of `x-tenant`.
fn of_tenant(tenant: &str) -> http::Request<()> {
    let request = http::Request::get("/").header("x-tenant", tenant);
    request.body(()).unwrap()
}

const TENANT: HeaderKey = HeaderKey(HeaderName::from_static("x-tenant"));

fn ask<P: Policy<http::Request<()>>>(policy: &P, mut req: http::Request<()>) -> bool {
    matches!(policy.admit(&mut req, Instant::now()), Verdict::Admit(_))
}

#[test]
fn a_shadow_counts_rejections_by_reason() {
    let shadow = Choose::new(
        |req: &http::Request<()>| Some(usize::from(req.uri().path() == "/full")),
        [Rejects(Kind::OverQuota), Rejects(Kind::Full)],
        Rejects(Kind::Deadline),
    );
    let shadow = Shadow::new(shadow);
    let handle = shadow.handle();
    for path in ["/", "/full", "/full"] {
        let request = http::Request::get(path).body(()).unwrap();
        assert!(ask(&shadow, request), "only counted");
    }
    let counts = Kind::ALL.map(|kind| handle.would_reject_as(kind));
    assert_eq!(counts, [1, 2, 0, 0, 0]);
    assert_eq!(handle.would_reject(), 3);
}

#[test]
fn a_shadow_counts_rejections_by_key_in_bounded_memory() {
    let shadow = Shadow::new(Rejects(Kind::OverQuota));
    let shadow = shadow.by_key(TENANT, 2).unwrap();
    let handle = shadow.handle();
    for tenant in ["ann", "bob", "bob", "cid", "dan", "ann", "bob"] {
        assert!(ask(&shadow, of_tenant(tenant)));
    }
    assert!(ask(&shadow, http::Request::new(())));
    let keys = handle.would_reject_by_key();
    assert_eq!(keys.counts, [("bob".into(), 3), ("ann".into(), 2)]);
    assert_eq!((keys.other, keys.unlabelled), (2, 1));
    assert_eq!(handle.would_reject(), 8);
}

#[test]
fn a_shadow_by_key_has_bounds() {
    let by = |capacity| Shadow::new(()).by_key(TENANT, capacity).map(drop);
    for capacity in [0, 65_537] {
        let error = by(capacity).unwrap_err().to_string();
        assert_eq!(
            error,
            format!("capacity must be 1 to 65536 keys, got {capacity}")
        );
    }
    assert_eq!((by(1), by(65_536)), (Ok(()), Ok(())));
}

/// The rejection, the key, and whether it was enforced.
type Reported = (String, Option<String>, bool);

#[test]
fn a_shadow_reports_each_rejection_with_key_and_time() {
    let shadow = Shadow::new(Rejects(Kind::Full));
    let secret = labelled(ApiKey::new(), |req: &http::Request<()>| {
        Some(format!("customer of {}", req.uri().path()))
    });
    let shadow = shadow.by_key(secret, 10).unwrap();
    let handle = shadow.handle();
    let log: Arc<Mutex<Vec<Reported>>> = Arc::default();
    let into = Arc::clone(&log);
    handle.on_rejection(|_| panic!("on purpose"));
    handle.on_rejection(move |would| {
        let key = would.key.map(str::to_owned);
        let line = (would.rejection.to_string(), key, would.enforced);
        assert!(would.at <= Instant::now());
        into.lock().unwrap().push(line);
    });
    assert!(ask(&shadow, http::Request::new(())));
    handle.enforce(true);
    assert!(!ask(&shadow, http::Request::new(())));
    let line = |enforced| {
        let key = Some("customer of /".to_owned());
        ("rejected by rejects: full".to_owned(), key, enforced)
    };
    assert_eq!(*log.lock().unwrap(), [line(false), line(true)]);
}

#[test]
fn keys_have_labels_except_secrets() {
    let req = http::Request::get("https://API.example/users")
        .header("x-tenant", "ann")
        .header("x-api-key", "s3cret")
        .extension(PeerAddr("192.0.2.7:1000".parse().unwrap()))
        .body(())
        .unwrap();
    assert_eq!(Authority.label(&req).as_deref(), Some("api.example:443"));
    assert_eq!(TENANT.label(&req).as_deref(), Some("ann"));
    assert_eq!(ClientIp::peer().label(&req).as_deref(), Some("192.0.2.7"));
    assert_eq!(Route::grpc().label(&req).as_deref(), Some("/users"));
    assert_eq!(ApiKey::new().label(&req), None);
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
