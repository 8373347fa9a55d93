//! The test kit: each check fails for a policy that breaks its law.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use http::{HeaderValue, StatusCode};
use plimsoll_core::{
    Class, GateLayer, Outcome, Policy, Rejection,
    policy::{Announcement, Interests, Verdict, WaitsOn},
    test_kit::{Audited, Contract, KitRequest, Script, Scripted, request},
};
use tokio::time::Instant;
use tower::{Service as _, ServiceExt as _};

use crate::sample::{Door, Slots, send};

/// Slots that keep a permit on one occasion.
struct Leaking {
    slots: Slots,
    /// Whether `finish` keeps permits.
    finish: bool,
    /// Which call of `revoke` keeps its permit, counted from 1.
    revoke: u64,
    revoked: AtomicU64,
}

impl Leaking {
    fn at(finish: bool, revoke: u64) -> Self {
        Self {
            slots: Slots::new(3),
            finish,
            revoke,
            revoked: AtomicU64::new(0),
        }
    }

    /// The contract of a policy that keeps these permits.
    fn contract(finish: bool, revoke: u64) -> Contract<Self> {
        let make = move || Self::at(finish, revoke);
        Contract::new(make, |leaking| leaking.slots.in_flight()).capacity(3)
    }
}

impl Policy<KitRequest> for Leaking {
    type Permit = ();
    plimsoll_core::decides_at_once!(KitRequest);

    fn admit(&self, req: &mut KitRequest, now: Instant) -> Verdict<(), Infallible> {
        self.slots.admit(req, now)
    }
    fn finish(&self, (): (), outcome: &Outcome) {
        if !self.finish {
            Policy::<KitRequest>::finish(&self.slots, (), outcome);
        }
    }
    fn revoke(&self, (): (), admitted: Instant, now: Instant) {
        if self.revoked.fetch_add(1, SeqCst) + 1 != self.revoke {
            Policy::<KitRequest>::revoke(&self.slots, (), admitted, now);
        }
    }
}

/// One slot with a queue.
#[derive(Default)]
struct Queueing {
    state: Mutex<Queue>,
    /// Keeps a slot for each waiter that leaves.
    leaks: bool,
    /// Wakes each waiter when it is polled.
    busy: bool,
    /// Never wakes a waiter.
    silent: bool,
}

#[derive(Default)]
struct Queue {
    used: u64,
    wakers: Vec<Waker>,
}

impl Queueing {
    fn contract(make: impl Fn() -> Self + 'static) -> Contract<Self> {
        Contract::new(make, |queueing: &Self| queueing.state.lock().unwrap().used).capacity(1)
    }

    fn release(&self) {
        let mut queue = self.state.lock().unwrap();
        queue.used -= 1;
        if !self.silent {
            queue.wakers.drain(..).for_each(Waker::wake);
        }
    }
}

impl Policy<KitRequest> for Queueing {
    type Permit = ();
    type Wait = ();

    fn admit(&self, _: &mut KitRequest, _: Instant) -> Verdict<(), ()> {
        let mut queue = self.state.lock().unwrap();
        if queue.used > 0 {
            return Verdict::Wait(());
        }
        queue.used += 1;
        Verdict::Admit(())
    }
    fn poll_wait(
        &self,
        _: Pin<&mut ()>,
        _: &mut KitRequest,
        _: Instant,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Rejection>> {
        let mut queue = self.state.lock().unwrap();
        if queue.used == 0 {
            queue.used += 1;
            return Poll::Ready(Ok(()));
        }
        if self.busy {
            cx.waker().wake_by_ref();
        }
        queue.wakers.push(cx.waker().clone());
        Poll::Pending
    }
    fn abandon(&self, _: Pin<&mut ()>, _: Instant) {
        self.state.lock().unwrap().used += u64::from(self.leaks);
    }
    fn finish(&self, (): (), _: &Outcome) {
        self.release();
    }
    fn revoke(&self, (): (), _: Instant, _: Instant) {
        self.release();
    }
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_keeps_the_laws_passes() {
    Leaking::contract(false, 0).check_all().await;
    Queueing::contract(Queueing::default).check_all().await;
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "law 1: a service from another `layer` call")]
async fn law_01_fails_when_more_requests_are_admitted_than_stated() {
    let contract = Contract::new(|| Slots::new(9), Slots::in_flight).capacity(2);
    contract.law_01_state_is_shared_across_layer_calls().await;
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "law 2: `spent` is 0 with a request in flight")]
async fn law_02_fails_for_a_reader_that_sees_nothing() {
    let contract = Contract::new(|| Slots::new(9), |_| 0);
    contract.law_02_the_reader_sees_a_request_in_flight().await;
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "law 2: still in flight after")]
async fn law_02_fails_for_a_policy_that_keeps_finished_permits() {
    let contract = Leaking::contract(true, 0);
    contract.law_02_every_permit_ends_exactly_once().await;
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "law 2: kept by an abandoned wait")]
async fn law_02_fails_for_a_policy_that_keeps_abandoned_waits() {
    let leaks = || Queueing {
        leaks: true,
        ..Queueing::default()
    };
    let contract = Queueing::contract(leaks);
    contract.law_02_abandoned_waits_leave_nothing_behind().await;
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "law 3: a rejected request has spent something")]
async fn law_03_fails_for_a_policy_that_keeps_a_revoked_permit() {
    let contract = Leaking::contract(false, 1);
    contract.law_03_a_rejected_request_has_spent_nothing().await;
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "law 3: a rejected request has spent something")]
async fn law_03_rejects_twice_as_many_requests_as_the_capacity() {
    let contract = Leaking::contract(false, 6);
    contract.law_03_a_rejected_request_has_spent_nothing().await;
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "law 4: spent by `poll_ready`")]
async fn law_04_fails_when_something_is_spent_before_a_call() {
    let contract = Contract::new(|| Slots::new(9), |slots| 1 + slots.in_flight());
    contract.law_04_nothing_is_reserved_in_poll_ready().await;
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "law 5: a queued request wakes itself")]
async fn law_05_fails_for_a_wait_that_wakes_itself() {
    let busy = || Queueing {
        busy: true,
        ..Queueing::default()
    };
    let contract = Queueing::contract(busy);
    contract
        .law_05_a_waiting_request_does_not_wake_itself()
        .await;
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "law 5: a queued request was not woken")]
async fn law_05_fails_for_a_wait_that_is_never_woken() {
    let silent = || Queueing {
        silent: true,
        ..Queueing::default()
    };
    let contract = Queueing::contract(silent);
    contract
        .law_05_a_waiting_request_does_not_wake_itself()
        .await;
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "law 3: a rejected request has spent something")]
async fn check_all_runs_the_checks() {
    Leaking::contract(false, 1).check_all().await;
}

#[tokio::test]
async fn the_audit_counts_permits_and_waits_that_have_not_ended() {
    let slots = Audited::new(Slots::new(1));
    let audit = slots.audit();
    let now = Instant::now();
    assert_eq!(slots.admit(&mut (), now), Verdict::Admit(()));
    assert_eq!((audit.granted(), audit.outstanding()), (1, 1));
    let outcome = Outcome::new(Class::Failure, Duration::ZERO, now);
    Policy::<()>::finish(&slots, (), &outcome);
    assert_eq!(audit.outstanding(), 0);
    assert_eq!(audit.classes(), [Class::Failure]);

    let door = Audited::new(Door::default());
    assert_eq!(door.admit(&mut (), now), Verdict::Wait(()));
    assert_eq!(door.audit().waiting(), 1);
    Policy::<()>::abandon(&door, Pin::new(&mut ()), now);
    assert_eq!(door.audit().waiting(), 0);
}

/// Announces a header, reads the latency, and logs reports about bodies.
#[derive(Default)]
struct Seen {
    announces: bool,
    latency: Mutex<Option<Duration>>,
    waits: Mutex<Vec<WaitsOn>>,
}

impl Policy<KitRequest> for Seen {
    type Permit = ();
    plimsoll_core::decides_at_once!(KitRequest);

    fn admit(&self, _: &mut KitRequest, _: Instant) -> Verdict<(), Infallible> {
        Verdict::Admit(())
    }
    fn finish(&self, (): (), outcome: &Outcome) {
        *self.latency.lock().unwrap() = Some(outcome.latency());
    }
    fn revoke(&self, (): (), _: Instant, _: Instant) {}
    fn interests(&self, _: Interests) -> Interests {
        Interests::LATENCY.with_announce(self.announces)
    }
    fn announce(&self, (): &(), _: Instant, out: &mut Announcement<'_>) {
        out.headers()
            .insert("announced", HeaderValue::from_static("yes"));
    }
    fn body_waits(&self, (): &mut (), on: WaitsOn) {
        self.waits.lock().unwrap().push(on);
    }
}

#[tokio::test(start_paused = true)]
async fn an_audited_policy_does_and_sees_what_it_does_alone() {
    for announces in [false, true] {
        let layer = GateLayer::new(Audited::new(Seen {
            announces,
            ..Seen::default()
        }));
        let response = send(&layer, Script::EndlessBody).await.unwrap();
        assert_eq!(response.headers().contains_key("announced"), announces);
        tokio::time::advance(Duration::from_secs(1)).await;
        drop(response);
        let seen = layer.policy().get_ref();
        let latency = *seen.latency.lock().unwrap();
        assert_eq!(latency, Some(Duration::ZERO), "without the body");
        assert_eq!(*seen.waits.lock().unwrap(), [], "it watches no bodies");
    }
}

#[tokio::test]
async fn the_scripted_service_counts_its_reservations_and_calls() {
    let mut service = Scripted::default();
    let watch = service.clone();
    service.ready().await.unwrap();
    assert_eq!((watch.reserved(), watch.calls()), (1, 0));
    let script = Script::Status(StatusCode::OK);
    drop(service.call(request(script.clone())));
    assert_eq!((watch.reserved(), watch.calls()), (0, 1));
    assert!(!watch.was_called_unready());

    service.ready().await.unwrap();
    let mut clone = service.clone();
    drop(service);
    assert_eq!(watch.reserved(), 0, "dropping releases the place");
    drop(clone.call(request(script)));
    assert_eq!(watch.calls(), 2);
    assert!(watch.was_called_unready(), "a clone is not ready");
}
