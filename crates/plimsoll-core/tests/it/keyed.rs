//! One policy per key, in bounded memory.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use http::Request;
use http_body_util::BodyExt as _;
use plimsoll_core::{
    GateLayer, HeaderKey, Keyed, KeyedHandle, Kind, Missing, Policy, Rejection,
    policy::{Evictable, Verdict},
    test_kit::{Contract, KitRequest, Script, request},
};
use tokio::time::Instant;

use crate::sample::{Door, Slots, send_request};

fn keyed(missing: Missing) -> Keyed<HeaderKey, Slots> {
    Keyed::new(HeaderKey::from_static("x-key"), missing, 512, || {
        Slots::new(1)
    })
    .unwrap()
}

fn with_key(key: &str, script: Script) -> KitRequest {
    let mut req = request(script);
    req.headers_mut().insert("x-key", key.parse().unwrap());
    req
}

#[tokio::test(start_paused = true)]
async fn keys_do_not_share_a_limit() {
    let layer = GateLayer::new(keyed(Missing::Reject(Kind::OverQuota)));
    let alice = send_request(&layer, with_key("alice", Script::EndlessBody))
        .await
        .unwrap();
    let again = send_request(&layer, with_key("alice", Script::Body))
        .await
        .unwrap();
    let bob = send_request(&layer, with_key("bob", Script::Body))
        .await
        .unwrap();
    assert_eq!(
        (alice.status(), again.status(), bob.status()),
        (
            200.try_into().unwrap(),
            503.try_into().unwrap(),
            200.try_into().unwrap()
        )
    );
    drop(alice);
    let again = send_request(&layer, with_key("alice", Script::Body))
        .await
        .unwrap();
    assert_eq!(again.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn requests_without_a_key_are_rejected_admitted_or_share_a_cell() {
    let rejected = GateLayer::new(keyed(Missing::Reject(Kind::OverQuota)));
    let response = send_request(&rejected, request(Script::Body))
        .await
        .unwrap();
    assert_eq!(response.status(), 429);
    assert_eq!(
        response.extensions().get::<Rejection>().unwrap().policy(),
        "missing-key"
    );

    let admitted = GateLayer::new(keyed(Missing::Admit));
    let mut running = Vec::new();
    for _ in 0..5 {
        running.push(
            send_request(&admitted, request(Script::EndlessBody))
                .await
                .unwrap(),
        );
    }
    assert!(running.iter().all(|response| response.status() == 200));

    let shared = GateLayer::new(keyed(Missing::Share));
    let first = send_request(&shared, request(Script::EndlessBody))
        .await
        .unwrap();
    let second = send_request(&shared, request(Script::Body)).await.unwrap();
    assert_eq!(
        (first.status().as_u16(), second.status().as_u16()),
        (200, 503)
    );
    assert_eq!(shared.policy().handle().missing(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_laws_hold_for_one_key() {
    let key = |_: &KitRequest| Some("one");
    Contract::new(
        move || Keyed::new(key, Missing::Share, 8, || Slots::new(1)).unwrap(),
        |keyed| {
            let cell = keyed.handle().with_cell("one", Slots::in_flight);
            cell.unwrap_or_default()
        },
    )
    .capacity(1)
    .check_all()
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_laws_hold_for_a_key_with_its_own_cell() {
    let in_flight = |handle: KeyedHandle<Slots>| {
        let cell = handle.with_cell("a", Slots::in_flight);
        let shared = handle.overflow_cells().map(Slots::in_flight);
        cell.unwrap_or_default() + shared.sum::<u64>()
    };
    Contract::new(
        || {
            let key = |_: &KitRequest| Some("a");
            Keyed::new(key, Missing::Admit, 1, || Slots::new(2)).unwrap()
        },
        move |keyed| in_flight(keyed.handle()),
    )
    .capacity(2)
    .check_all()
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_wait_holds_its_cell_until_it_is_abandoned() {
    let keyed = Keyed::new(
        HeaderKey::from_static("x-key"),
        Missing::Share,
        1,
        DoorCell::default,
    );
    let layer = GateLayer::new(keyed.unwrap());
    let mut call = Box::pin(send_request(&layer, with_key("a", Script::Body)));
    assert!(futures_util::poll!(&mut call).is_pending());
    drop(call);
    assert_eq!(layer.policy().handle().keys(), 1);
    // The slot is idle now, so in the smallest table every new key finds a slot.
    for n in 0..10_000 {
        let mut req = request(Script::Body);
        req.headers_mut().insert("x-key", n.into());
        let mut call = Box::pin(send_request(&layer, req));
        assert!(futures_util::poll!(&mut call).is_pending());
    }
    assert_eq!(layer.policy().handle().overflowed(), 0);
    assert!(layer.policy().handle().evicted() > 9_000);
}

/// A door per key.
#[derive(Debug, Default)]
struct DoorCell(Door);

impl Evictable for DoorCell {
    fn reset(&self) {}
    fn settles_in(&self, _: Instant) -> Duration {
        Duration::ZERO
    }
}

impl Policy<KitRequest> for DoorCell {
    type Permit = ();
    type Wait = ();
    fn admit(&self, req: &mut KitRequest, now: Instant) -> Verdict<(), ()> {
        self.0.admit(req, now)
    }
    fn poll_wait(
        &self,
        wait: std::pin::Pin<&mut ()>,
        req: &mut KitRequest,
        now: Instant,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Rejection>> {
        self.0.poll_wait(wait, req, now, cx)
    }
    fn abandon(&self, wait: std::pin::Pin<&mut ()>, now: Instant) {
        Policy::<KitRequest>::abandon(&self.0, wait, now);
    }
    fn finish(&self, (): (), outcome: &plimsoll_core::Outcome) {
        Policy::<KitRequest>::finish(&self.0, (), outcome);
    }
    fn revoke(&self, (): (), admitted: Instant, now: Instant) {
        Policy::<KitRequest>::revoke(&self.0, (), admitted, now);
    }
}

#[test]
fn concurrent_evictions_never_give_a_key_two_cells() {
    // Each key may have one request at a time. The test counts per key and compares.
    const KEYS: usize = 4_096;
    let keyed = Keyed::new(
        |req: &Request<usize>| Some(*req.body()),
        Missing::Reject(Kind::Full),
        512,
        || Slots::new(1),
    )
    .unwrap();
    let running: Arc<Vec<AtomicU64>> = Arc::new((0..KEYS).map(|_| AtomicU64::new(0)).collect());
    let (start, ticks) = (Instant::now(), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let (keyed, running, ticks) = (&keyed, Arc::clone(&running), &ticks);
            scope.spawn(move || {
                let mut rng = fastrand::Rng::with_seed(thread);
                let mut held = Vec::new();
                for _ in 0..50_000 {
                    // Known keys stay away for long, so that sets do not fill up with them.
                    let now = start + Duration::from_secs(30 * ticks.fetch_add(1, SeqCst));
                    let key = rng.usize(..KEYS);
                    let mut req = Request::new(key);
                    if let Verdict::Admit(permit) = keyed.admit(&mut req, now) {
                        assert_eq!(
                            running[key].fetch_add(1, SeqCst),
                            0,
                            "key {key} has two cells"
                        );
                        held.push((key, permit));
                    }
                    // Few enough that no set of eight slots is full: keys in an overflow cell may
                    // have two.
                    if held.len() > 4 {
                        let (key, permit) = held.swap_remove(rng.usize(..held.len()));
                        running[key].fetch_sub(1, SeqCst);
                        Policy::<Request<usize>>::revoke(keyed, permit, now, now);
                    }
                }
                for (key, permit) in held {
                    running[key].fetch_sub(1, SeqCst);
                    Policy::<Request<usize>>::revoke(keyed, permit, start, start);
                }
            });
        }
    });
    assert!(
        keyed.handle().evicted() > 1_000,
        "the table was not under pressure"
    );
    assert!(
        keyed
            .handle()
            .overflow_cells()
            .all(|cell| cell.in_flight() == 0)
    );
}

#[tokio::test(start_paused = true)]
async fn a_body_releases_into_the_cell_of_its_key() {
    let layer = GateLayer::new(keyed(Missing::Share));
    for _ in 0..3 {
        let response = send_request(&layer, with_key("a", Script::Body))
            .await
            .unwrap();
        assert_eq!(response.status(), 200);
        response.into_body().collect().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn the_cell_of_a_key_can_be_read_through_the_handle() {
    let layer = GateLayer::new(keyed(Missing::Share));
    let handle = layer.policy().handle();
    let of = |key: &str| handle.with_cell(key.as_bytes(), Slots::in_flight);
    assert_eq!(of("alice"), None);
    let running = send_request(&layer, with_key("alice", Script::EndlessBody))
        .await
        .unwrap();
    assert_eq!((of("alice"), of("bob")), (Some(1), None));
    drop(running);
    assert_eq!(of("alice"), Some(0));
}

/// Sends a request that ends at once, and returns whether it was admitted.
fn passes(keyed: &Keyed<HeaderKey, Slots>, key: &str, now: Instant) -> bool {
    let Verdict::Admit(permit) = keyed.admit(&mut with_key(key, Script::Body), now) else {
        return false;
    };
    Policy::<KitRequest>::revoke(keyed, permit, now, now);
    true
}

/// Known keys are idle while requests that never end want their slots.
#[test]
fn law_07_a_flood_of_keys_takes_no_slot_of_a_known_key() {
    let (keyed, start) = (keyed(Missing::Share), Instant::now());
    let callers: Vec<String> = (0..100).map(|n| format!("caller {n}")).collect();
    for _ in 0..2 {
        assert!(callers.iter().all(|key| passes(&keyed, key, start)));
    }
    let handle = keyed.handle();
    let mut held = Vec::new();
    let mut flood = |name: &str, keys, now| {
        for n in 0..keys {
            let key = format!("{name} {n}");
            if let Verdict::Admit(permit) = keyed.admit(&mut with_key(&key, Script::Body), now) {
                held.push(permit);
            }
        }
        held.len() as u64
    };
    for minute in 1..=10 {
        let now = start + Duration::from_secs(60 * minute);
        let held = flood(&format!("flood {minute}"), 1_000, now);
        // The overflow cell admits one more.
        assert!(held <= handle.capacity() + 1, "{held} held");
        let rejected = callers.iter().filter(|key| !passes(&keyed, key, now));
        // More than eight callers may hash to one set of eight slots.
        assert!(rejected.count() <= 1, "in minute {minute}");
    }
    assert!(handle.overflowed() > 8_000);

    // The callers stay away: after five minutes other keys get their slots.
    for minutes in [15, 20] {
        flood("later", 4_000, start + Duration::from_secs(60 * minutes));
    }
    let has_slot = |key: &&String| handle.with_cell(key.as_bytes(), |_| ()).is_some();
    assert_eq!(callers.iter().filter(has_slot).count(), 0);
}

/// Sends requests with keys that come once.
async fn flood<P>(layer: &GateLayer<Keyed<HeaderKey, P>>)
where
    P: Policy<KitRequest> + Evictable + 'static,
{
    for n in 0..10_000 {
        let mut req = request(Script::Status(http::StatusCode::OK));
        req.headers_mut().insert("x-key", n.into());
        send_request(layer, req).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_flood_takes_no_slot_of_a_new_key_with_a_request_in_flight() {
    let layer = GateLayer::new(keyed(Missing::Share));
    let in_flight = send_request(&layer, with_key("a", Script::EndlessBody)).await;
    flood(&layer).await;
    assert!(layer.policy().handle().evicted() > 0);
    let second = send_request(&layer, with_key("a", Script::Body)).await;
    assert_eq!(second.unwrap().status(), 503, "its cell is in use");
    drop(in_flight);
}

#[tokio::test(start_paused = true)]
async fn known_keys_are_kept_for_minutes_after_their_long_requests() {
    const MINUTE: Duration = Duration::from_secs(60);
    let layer = GateLayer::new(keyed(Missing::Share));
    let mut in_flight = Vec::new();
    // Enough keys that each slot belongs to a known key with a request in flight.
    for key in 0..4_096 {
        let key = format!("known-{key}");
        let once = with_key(&key, Script::Status(http::StatusCode::OK));
        send_request(&layer, once).await.unwrap();
        in_flight.push(send_request(&layer, with_key(&key, Script::EndlessBody)).await);
    }
    let handle = layer.policy().handle();
    assert_eq!(handle.keys(), handle.capacity());
    flood(&layer).await;
    tokio::time::advance(10 * MINUTE).await;
    drop(in_flight);
    flood(&layer).await;
    assert_eq!(handle.evicted(), 0, "the first flood since they came");
    tokio::time::advance(4 * MINUTE).await;
    flood(&layer).await;
    assert_eq!(handle.evicted(), 0, "they came less than five minutes ago");
    tokio::time::advance(2 * MINUTE).await;
    flood(&layer).await;
    assert!(handle.evicted() > 0, "they have not come for six minutes");
}

/// A cell that is settled each time it is asked first, and in use when it is asked again.
#[derive(Default)]
struct UsedMeanwhile(AtomicU64);

impl Evictable for UsedMeanwhile {
    fn reset(&self) {}
    fn settles_in(&self, _: Instant) -> Duration {
        Duration::from_secs(self.0.fetch_add(1, SeqCst) % 2)
    }
}

impl Policy<KitRequest> for UsedMeanwhile {
    type Permit = ();
    plimsoll_core::decides_at_once!(KitRequest);

    fn admit(&self, _: &mut KitRequest, _: Instant) -> Verdict<(), std::convert::Infallible> {
        Verdict::Admit(())
    }
    fn finish(&self, (): (), _: &plimsoll_core::Outcome) {}
    fn revoke(&self, (): (), _: Instant, _: Instant) {}
}

#[tokio::test(start_paused = true)]
async fn a_cell_that_is_used_while_its_slot_is_taken_over_keeps_its_key() {
    let key = HeaderKey::from_static("x-key");
    let keyed = Keyed::new(key, Missing::Share, 1, UsedMeanwhile::default);
    let layer = GateLayer::new(keyed.unwrap());
    let once = with_key("a", Script::Status(http::StatusCode::OK));
    send_request(&layer, once).await.unwrap();
    flood(&layer).await;
    let handle = layer.policy().handle();
    assert_eq!(handle.evicted(), 0);
    assert!(handle.overflowed() > 0);
    assert!(handle.overflow_cells().next().is_some());
    assert!(handle.with_cell(b"a".as_slice(), |_| ()).is_some());
}
