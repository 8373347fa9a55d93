//! The head of an answer, and the wait that it asks for, as the gate reports them to policies.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use plimsoll_core::{
    Choose, GateLayer, Keyed, Missing, Outcome, Policy, Shadow, When,
    policy::{Evictable, Interests, Then, Verdict},
    test_kit::Audited,
};
use tokio::time::Instant;
use tower::{Layer as _, ServiceExt as _, service_fn};

type Log = Arc<Mutex<Vec<String>>>;

/// Logs the reports, and whether it reads the latency.
#[derive(Clone)]
struct Listens(Log, bool);

impl Policy<Request<()>> for Listens {
    type Permit = u32;
    plimsoll_core::decides_at_once!(Request<()>);

    fn admit(&self, _: &mut Request<()>, _: Instant) -> Verdict<u32, Infallible> {
        Verdict::Admit(0)
    }
    fn finish(&self, heads: u32, _: &Outcome) {
        self.0.lock().unwrap().push(format!("{heads} heads"));
    }
    fn revoke(&self, _: u32, _: Instant, _: Instant) {}
    fn interests(&self, _: Interests) -> Interests {
        Interests::NONE.with_latency(self.1)
    }
    fn answered(&self, heads: &mut u32) {
        *heads += 1;
    }
    fn asked_to_wait(&self, heads: &u32, wait: Duration, _: Instant) {
        self.0.lock().unwrap().push(format!("{heads}: {wait:?}"));
    }
}

impl Evictable for Listens {
    fn reset(&self) {}
    fn settles_in(&self, _: Instant) -> Duration {
        Duration::ZERO
    }
}

/// Calls a service that answers with this status and `retry-after`, and returns the log.
async fn reports<P>(policy: P, log: &Log, status: u16, wait: &'static str) -> Vec<String>
where
    P: Policy<Request<()>> + 'static,
{
    let inner = service_fn(move |_: Request<()>| async move {
        let response = Response::builder()
            .status(status)
            .header("retry-after", wait);
        Ok::<_, Infallible>(response.body(Full::<Bytes>::from("body")).unwrap())
    });
    drop(
        GateLayer::new(policy)
            .layer(inner)
            .oneshot(Request::new(()))
            .await,
    );
    std::mem::take(&mut *log.lock().unwrap())
}

#[tokio::test]
async fn failed_and_overloaded_answers_report_their_wait() {
    let log = Log::default();
    for (status, wait, expected) in [
        (503, "7", Some("1: 7s")),
        (500, "7", Some("1: 7s")),
        (503, "later", None),
        (503, "Wed, 21 Oct 2015 07:28:00 GMT", None),
        (200, "7", None),
        (404, "7", None),
    ] {
        let seen = reports(Listens(Arc::clone(&log), true), &log, status, wait).await;
        let expected: Vec<_> = expected.into_iter().chain(["1 heads"]).collect();
        assert_eq!(seen, expected, "{status} {wait}");
    }
}

#[tokio::test]
async fn heads_are_reported_to_policies_that_read_the_latency() {
    let log = Log::default();
    let seen = reports(Listens(Arc::clone(&log), false), &log, 503, "7").await;
    assert_eq!(seen, ["0: 7s", "0 heads"]);
}

#[tokio::test]
async fn every_combinator_forwards_heads_and_waits() {
    let log = Log::default();
    let one = || Listens(Arc::clone(&log), true);
    let keyed = {
        let policy = one();
        let key = |_: &Request<()>| Some(7_u32);
        Keyed::new(key, Missing::Share, 512, move || policy.clone()).unwrap()
    };
    let seen = ["1: 7s", "1 heads"];
    assert_eq!(reports(Arc::new(one()), &log, 503, "7").await, seen);
    assert_eq!(reports(Some(one()), &log, 503, "7").await, seen);
    assert_eq!(reports(((), one()), &log, 503, "7").await, seen);
    assert_eq!(reports((one(),), &log, 503, "7").await, seen);
    assert_eq!(reports(Then((), one()), &log, 503, "7").await, seen);
    assert_eq!(reports(Then(one(), ()), &log, 503, "7").await, seen);
    assert_eq!(reports(Shadow::new(one()), &log, 503, "7").await, seen);
    assert_eq!(reports(Audited::new(one()), &log, 503, "7").await, seen);
    assert_eq!(reports(keyed, &log, 503, "7").await, seen);
    let always = |_: &Request<()>| true;
    assert_eq!(
        reports(When::new(always, one()), &log, 503, "7").await,
        seen
    );
    let first = |_: &Request<()>| Some(0);
    let choose = Choose::new(first, [one()], one());
    assert_eq!(reports(choose, &log, 503, "7").await, seen);
    assert_eq!(reports((one(), one()), &log, 503, "7").await.len(), 4);
}
