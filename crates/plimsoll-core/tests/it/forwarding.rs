//! Combinators forward every method of the inner policy.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::Duration,
};

use http::{HeaderMap, Request};
use plimsoll_core::{
    Choose, Class, GateLayer, Keyed, Missing, Observe, Outcome, Policy, Shadow, When,
    policy::{Announcement, Evictable, Interests, Then, Verdict},
    test_kit::{Script, Scripted, request},
};
use tokio::time::Instant;
use tower::{Layer as _, ServiceExt as _};

use crate::sample::Door;

type Req = Request<()>;

/// Logs its calls, and answers all questions with `yes`.
#[derive(Clone)]
struct Logged {
    yes: bool,
    log: Arc<Mutex<Vec<&'static str>>>,
}

impl Logged {
    fn note(&self, call: &'static str) {
        self.log.lock().unwrap().push(call);
    }
}

impl Policy<Req> for Logged {
    type Permit = ();
    plimsoll_core::decides_at_once!(Req);

    fn admit(&self, _: &mut Req, _: Instant) -> Verdict<(), Infallible> {
        self.note("admit");
        Verdict::Admit(())
    }
    fn finish(&self, (): (), _: &Outcome) {
        self.note("finish");
    }
    fn revoke(&self, (): (), _: Instant, _: Instant) {
        self.note("revoke");
    }
    #[inline]
    fn interests(&self, _: Interests) -> Interests {
        if self.yes {
            Interests::ALL
        } else {
            Interests::NONE
        }
    }
    fn announce(&self, (): &(), _: Instant, _: &mut Announcement<'_>) {
        self.note("announce");
    }
}

impl Evictable for Logged {
    fn reset(&self) {}
    fn settles_in(&self, _: Instant) -> Duration {
        Duration::ZERO
    }
}

fn forwards<P: Policy<Req>>(wrap: impl Fn(Logged) -> P) {
    for yes in [false, true] {
        let log = Arc::default();
        let policy = wrap(Logged {
            yes,
            log: Arc::clone(&log),
        });
        let interests = if yes { Interests::ALL } else { Interests::NONE };
        assert_eq!(policy.interests(Interests::ALL), interests);
        let (mut req, now) = (Request::new(()), Instant::now());
        let mut admit = || match policy.admit(&mut req, now) {
            Verdict::Admit(permit) => permit,
            _ => panic!("the policy admits every request"),
        };
        let permit = admit();
        let mut headers = HeaderMap::new();
        policy.announce(&permit, now, &mut Announcement::to(&mut headers));
        policy.revoke(permit, now, now);
        let permit = admit();
        policy.finish(permit, &Outcome::new(Class::Success, Duration::ZERO, now));
        let calls = ["admit", "announce", "revoke", "admit", "finish"];
        assert_eq!(*log.lock().unwrap(), calls);
    }
}

/// Checks that a wrapper forwards the waits of a policy that queues: one that is abandoned, one
/// that is admitted, and one that is rejected.
fn forwards_waits<P: Policy<Req>>(wrap: impl FnOnce(Arc<Door>) -> P) {
    let door = Arc::new(Door::default());
    let policy = wrap(Arc::clone(&door));
    let (mut req, now) = (Request::new(()), Instant::now());
    let mut cx = Context::from_waker(Waker::noop());
    let queued = |req: &mut Req| match policy.admit(req, now) {
        Verdict::Wait(wait) => Box::pin(wait),
        _ => panic!("the policy queues every request"),
    };

    let mut wait = queued(&mut req);
    let polled = policy.poll_wait(wait.as_mut(), &mut req, now, &mut cx);
    assert!(polled.is_pending());
    policy.abandon(wait.as_mut(), now);
    assert_eq!(door.abandoned(), 1);

    door.open();
    let mut wait = queued(&mut req);
    let polled = policy.poll_wait(wait.as_mut(), &mut req, now, &mut cx);
    let Poll::Ready(Ok(permit)) = polled else {
        panic!("the door is open");
    };
    assert_eq!(door.inside(), 1);
    policy.revoke(permit, now, now);
    assert_eq!(door.inside(), 0);

    door.shut_for_good();
    let mut wait = queued(&mut req);
    let polled = policy.poll_wait(wait.as_mut(), &mut req, now, &mut cx);
    let Poll::Ready(Err(rejection)) = polled else {
        panic!("the door is shut for good");
    };
    assert_eq!(rejection.policy(), "door");
}

#[test]
fn wrappers_forward_waits() {
    forwards_waits(|policy| policy);
    forwards_waits(Some);
    forwards_waits(|policy| (policy,));
    forwards_waits(|policy| (policy, ()));
    forwards_waits(|policy| ((), policy, ()));
    forwards_waits(|policy| When::new(|_: &Req| true, policy));
    forwards_waits(|policy| Choose::new(|_: &Req| Some(0), [policy.clone()], policy));
}

#[test]
fn pointers_options_and_tuples_forward_every_method() {
    forwards(|policy| policy);
    forwards(Arc::new);
    forwards(Some);
    forwards(|policy| (policy,));
    forwards(|policy| (policy, ()));
    forwards(|policy| ((), policy, ()));
    forwards(|policy| Then(policy, ()));
    forwards(|policy| Then((), policy));
}

#[test]
fn an_enforced_shadow_forwards_every_method() {
    forwards(|policy| {
        let shadow = Shadow::new(policy);
        shadow.handle().enforce(true);
        shadow
    });
}

#[test]
fn combinators_forward_every_method() {
    forwards(|policy| When::new(|_: &Req| true, policy));
    forwards(|policy| Choose::new(|_: &Req| Some(0), [policy.clone()], policy));
    forwards(|policy| Choose::new(|_: &Req| None, [policy.clone()], policy));
    forwards(|policy| {
        let made = move || policy.clone();
        Keyed::new(|_: &Req| Some(7_u32), Missing::Share, 512, made).unwrap()
    });
}

/// Counts the requests that left the queue.
#[derive(Clone, Default)]
struct Abandoned(Arc<Mutex<Vec<String>>>);

impl Observe for Abandoned {
    fn abandoned(&self, gate: &str, _: Duration) {
        self.0.lock().unwrap().push(gate.to_owned());
    }
}

#[tokio::test(start_paused = true)]
async fn every_observer_receives_an_abandoned_wait() {
    let (first, second) = (Abandoned::default(), Abandoned::default());
    let layer = GateLayer::builder(Door::default())
        .name("edge")
        .observe(first.clone())
        .observe(second.clone())
        .build();
    let call = layer
        .layer(Scripted::default())
        .oneshot(request(Script::Body));
    let late = tokio::time::timeout(Duration::from_secs(1), call).await;
    assert!(late.is_err(), "the door is closed");
    for observer in [first, second] {
        assert_eq!(*observer.0.lock().unwrap(), ["edge"]);
    }
}
