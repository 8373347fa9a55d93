//! Combinators forward every method of the inner policy.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{HeaderMap, Request};
use plimsoll_core::{
    Announcement, Cell, Choose, Class, Keyed, Missing, Outcome, Policy, Then, Verdict, When,
};
use tokio::time::Instant;

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
    fn reads_latency(&self) -> bool {
        self.yes
    }
    fn announces(&self) -> bool {
        self.yes
    }
    fn announce(&self, (): &(), _: Instant, _: &mut Announcement<'_>) {
        self.note("announce");
    }
    fn watches_bodies(&self) -> bool {
        self.yes
    }
}

impl Cell for Logged {
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
        let answers = [
            policy.reads_latency(),
            policy.announces(),
            policy.watches_bodies(),
        ];
        assert_eq!(answers, [yes; 3]);
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
fn combinators_forward_every_method() {
    forwards(|policy| When::new(|_: &Req| true, policy));
    forwards(|policy| Choose::new(|_: &Req| Some(0), [policy.clone()], policy));
    forwards(|policy| Choose::new(|_: &Req| None, [policy.clone()], policy));
    forwards(|policy| {
        let made = move || policy.clone();
        Keyed::new(|_: &Req| Some(7_u32), Missing::Share, 512, made).unwrap()
    });
}
