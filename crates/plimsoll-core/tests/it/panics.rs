//! A panic in user code ends the permits of all other policies.

use std::{
    convert::Infallible,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use http_body_util::BodyExt as _;
use plimsoll_core::{
    Choose, Class, GateLayer, Http, Keyed, Missing, Observe, Outcome, Policy, Rejection, Shadow,
    When,
    policy::{Evictable, Verdict},
    test_kit::{Audited, KitRequest, Script, Scripted, request},
};
use tokio::time::Instant;
use tower::{Layer as _, ServiceExt as _};

use crate::sample::Slots;

/// Where a policy panics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Nowhere,
    Admit,
    PollWait,
    Abandon,
    Finish,
    Revoke,
    /// In every method that ends a permit or a wait.
    End,
}

/// A policy that panics like a user's callback. A queued request is granted at its first poll.
#[derive(Debug)]
struct Panics {
    at: At,
    waits: bool,
}

impl Panics {
    fn at(at: At) -> Self {
        Self { at, waits: false }
    }

    fn when_queued(at: At) -> Self {
        Self { at, waits: true }
    }

    fn check(&self, now: At) {
        assert!(
            self.at != now && !(self.at == At::End && now != At::Admit && now != At::PollWait),
            "panic of a user's callback"
        );
    }
}

impl<Req> Policy<Req> for Panics {
    type Permit = ();
    type Wait = ();

    fn admit(&self, _: &mut Req, _: Instant) -> Verdict<(), ()> {
        self.check(At::Admit);
        if self.waits {
            Verdict::Wait(())
        } else {
            Verdict::Admit(())
        }
    }
    fn poll_wait(
        &self,
        _: Pin<&mut ()>,
        _: &mut Req,
        _: Instant,
        _: &mut Context<'_>,
    ) -> Poll<Result<(), Rejection>> {
        self.check(At::PollWait);
        Poll::Ready(Ok(()))
    }
    fn abandon(&self, _: Pin<&mut ()>, _: Instant) {
        self.check(At::Abandon);
    }
    fn finish(&self, (): (), _: &Outcome) {
        self.check(At::Finish);
    }
    fn revoke(&self, (): (), _: Instant, _: Instant) {
        self.check(At::Revoke);
    }
}

impl Evictable for Panics {
    fn reset(&self) {}
    fn settles_in(&self, _: Instant) -> Duration {
        Duration::ZERO
    }
}

/// Rejects every request.
#[derive(Debug)]
struct RejectAll;

impl<Req> Policy<Req> for RejectAll {
    type Permit = ();
    plimsoll_core::decides_at_once!(Req);

    fn admit(&self, _: &mut Req, _: Instant) -> Verdict<(), Infallible> {
        Verdict::Reject(Rejection::new("reject-all", plimsoll_core::Kind::Full))
    }
    fn finish(&self, (): (), _: &Outcome) {}
    fn revoke(&self, (): (), _: Instant, _: Instant) {}
}

/// How a request ends, and whether its body is read.
const ENDINGS: [(Script, bool); 5] = [
    (Script::Body, true),
    (Script::EndlessBody, false),
    (Script::Error, true),
    (Script::Panic, true),
    (Script::Hang, true),
];

/// Sends a request to its end, and catches panics on the way.
fn run<P: Policy<KitRequest> + 'static>(layer: &GateLayer<P>, script: Script, read: bool) {
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let mut call = pin!(layer.layer(Scripted::default()).oneshot(request(script)));
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..3 {
            let Poll::Ready(answer) = call.as_mut().poll(&mut cx) else {
                continue;
            };
            if let (Ok(response), true) = (answer, read) {
                let mut body = pin!(response.into_body().collect());
                _ = body.as_mut().poll(&mut cx);
            }
            return;
        }
    }));
    drop(caught);
}

/// Runs each ending with `make`'s policy between two audited ones.
fn every_permit_ends<P: Policy<KitRequest> + 'static>(what: &str, make: impl Fn() -> P) {
    for (script, read) in ENDINGS {
        let layer = GateLayer::new((
            Audited::new(Slots::new(9)),
            make(),
            Audited::new(Slots::new(9)),
        ));
        for _ in 0..3 {
            run(&layer, script.clone(), read);
        }
        let (first, _, last) = layer.policy();
        for policy in [first, last] {
            assert_eq!(
                (policy.get_ref().in_flight(), policy.audit().outstanding()),
                (0, 0),
                "{what}, {script:?}"
            );
        }
    }
}

#[test]
fn law_02_a_panicking_finish_ends_the_permits_of_the_other_policies() {
    for at in [At::Finish, At::End] {
        every_permit_ends("alone", || Panics::at(at));
        every_permit_ends("several", || (Panics::at(at), Panics::at(at)));
        every_permit_ends("optional", || Some(Panics::at(at)));
        every_permit_ends("shared", || Arc::new(Panics::at(at)));
        every_permit_ends("a shadow", || Shadow::new(Panics::at(at)));
        every_permit_ends("when", || When::new(|_: &KitRequest| true, Panics::at(at)));
        every_permit_ends("chosen", || {
            Choose::new(|_: &KitRequest| None, [], Panics::at(at))
        });
        every_permit_ends("keyed", || {
            let key = |_: &KitRequest| Some("one");
            Keyed::new(key, Missing::Share, 8, move || Panics::at(at)).unwrap()
        });
    }
}

#[test]
fn law_02_a_panic_at_any_moment_ends_the_permits_of_the_other_policies() {
    for at in [At::Admit, At::PollWait, At::Abandon, At::Revoke, At::End] {
        every_permit_ends("at once", || Panics::at(at));
        every_permit_ends("after a wait", || Panics::when_queued(at));
        every_permit_ends("then rejected", || (Panics::at(at), RejectAll));
        every_permit_ends("after a wait, then rejected", || {
            (Panics::when_queued(at), RejectAll)
        });
        every_permit_ends("a wait after it", || {
            (Panics::at(at), Panics::when_queued(At::Nowhere))
        });
        every_permit_ends("a panicking wait after it", || {
            (Panics::at(at), Panics::when_queued(At::PollWait))
        });
    }
}

#[test]
fn law_02_a_granted_wait_is_revoked_when_the_next_policy_panics() {
    let layer = GateLayer::new((
        Audited::new(Panics::when_queued(At::Nowhere)),
        Panics::at(At::Admit),
    ));
    run(&layer, Script::Body, true);
    let audit = layer.policy().0.audit();
    assert_eq!((audit.waiting(), audit.outstanding()), (0, 0));
    assert_eq!(audit.revoked(), 1);
}

#[test]
fn law_02_a_panicking_classifier_ends_the_permit() {
    let http = Http::new().classify(|_, _: &_| -> Class { panic!("a user's classifier") });
    let layer = GateLayer::builder(Audited::new(Slots::new(9)))
        .protocol(http)
        .build();
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let gate = layer.layer(Scripted::default());
        let mut call = pin!(gate.oneshot(request(Script::Body)));
        _ = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    }));
    assert!(caught.is_err());
    assert_eq!(layer.policy().audit().outstanding(), 0);
}

#[test]
fn an_observer_gets_the_end_of_a_call_whose_policy_panics() {
    #[derive(Default)]
    struct Ended(AtomicU64);
    impl Observe for Ended {
        fn finished(&self, _: &str, _: &Outcome) {
            self.0.fetch_add(1, SeqCst);
        }
    }
    let ended = Arc::new(Ended::default());
    let layer = GateLayer::builder(Panics::at(At::Finish))
        .observe(Arc::clone(&ended))
        .build();
    run(&layer, Script::Body, true);
    assert_eq!(ended.0.load(SeqCst), 1);
}
