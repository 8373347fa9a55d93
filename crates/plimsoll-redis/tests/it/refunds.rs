//! Requests that a later policy rejects have spent nothing.

use std::{
    cell::RefCell,
    future::Future as _,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::Request;
use plimsoll_core::{GateLayer, Kind, Missing, Outcome, Policy, Rejection, policy::Verdict};
use plimsoll_rate_limit::Quota;
use plimsoll_redis::{LeaseSettings, RedisRateLimit, RedisServer};
use proptest::{collection::vec, prelude::*, sample::Index};
use tokio::{
    task::JoinSet,
    time::{Instant, Sleep, sleep},
};
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::{
    Caller, LONG, ask, builder, ms,
    scripts::{MS, Redis, START, check},
    server::{Server, free_port},
    until,
};

/// What is missing from a bucket after these admissions: times and microseconds.
fn missing(log: &[(u64, u64)], now: u64) -> u64 {
    let (mut missing, mut seen) = (0_u64, 0);
    for (at, span) in log {
        missing = missing.saturating_sub(at - seen) + span;
        seen = *at;
    }
    missing.saturating_sub(now - seen)
}

#[derive(Debug, Clone)]
enum Step {
    Forward(u64),
    Ask(u64),
    Refund(Index),
}

#[test]
fn refunds_leave_a_bucket_as_if_nothing_had_been_admitted() {
    let redis = RefCell::new(Redis::start());
    let step = prop_oneof![
        4 => (0..60 * MS).prop_map(Step::Forward),
        6 => (1_u64..4).prop_map(Step::Ask),
        4 => any::<Index>().prop_map(Step::Refund),
    ];
    check(60, (3_u64..12, vec(step, 1..80)), |(size, steps)| {
        let mut redis = redis.borrow_mut();
        redis.flush();
        let quota = ("g", 100 * MS, size);
        let (mut now, mut log) = (START, Vec::<(u64, u64)>::new());
        for step in steps {
            match step {
                Step::Forward(micros) => now += micros,
                Step::Ask(cost) => {
                    if redis.one(quota, cost, now).is_ok() {
                        log.push((now, cost * 100 * MS));
                    }
                }
                Step::Refund(index) if !log.is_empty() => {
                    let (at, span) = log.remove(index.index(log.len()));
                    redis.refund(quota, span / (100 * MS), at, now);
                }
                Step::Refund(_) => {}
            }
            let written = redis.numbers();
            let seen = match written[..] {
                [at, missing, ..] => missing.saturating_sub(now - at),
                _ => 0,
            };
            prop_assert_eq!(seen, missing(&log, now));
        }
        Ok(())
    });
}

/// At slightly different times, in either order: all waits together cost one wait.
#[test]
fn ninety_nine_waiters_of_a_hundred_are_refunded_what_they_took() {
    let mut redis = Redis::start();
    let quota = ("g", 20 * MS, 100);
    for newest_first in [false, true] {
        redis.flush();
        for n in 0..100 {
            redis.one(quota, 1, START + 10 * n).expect("room");
        }
        let later = START + 50 * MS;
        for n in 0..99 {
            let at = START + 10 * if newest_first { 99 - n } else { n };
            redis.refund(quota, 1, at, later + n);
        }
        // One token was taken 50 ms ago, and has been refilled. Taking one shows that.
        assert_eq!(redis.one(quota, 1, later + 99), Ok(99), "{newest_first}");
    }
}

/// When there is no room for all stretches, the excess of the refunds is less than a token.
#[test]
fn many_refunds_in_any_order_do_not_exceed_what_was_taken() {
    let mut redis = Redis::start();
    let quota = ("g", 20 * MS, 1000);
    let mut log = Vec::new();
    let mut now = START;
    for n in 0..400_u64 {
        now += 100 + n * 7919 % 4000;
        redis.one(quota, 1, now).expect("room");
        log.push((now, 20 * MS));
        if n % 3 == 2 {
            let (at, _) = log.remove((n * 31 % log.len() as u64) as usize);
            redis.refund(quota, 1, at, now);
        }
    }
    while log.len() > 10 {
        now += 50;
        let (at, _) = log.remove(log.len() * 7 / 11);
        redis.refund(quota, 1, at, now);
    }
    let due = missing(&log, now);
    let seen = redis.numbers().get(1).copied().unwrap_or(0);
    assert!(due.abs_diff(seen) < 20 * MS, "{due} µs are due, not {seen}");
}

/// Queues each request for 50 ms, then rejects it.
struct FullQueue;

impl<Req> Policy<Req> for FullQueue {
    type Permit = ();
    type Wait = Sleep;

    fn admit(&self, _: &mut Req, _: Instant) -> Verdict<(), Sleep> {
        Verdict::Wait(sleep(ms(50)))
    }

    fn poll_wait(
        &self,
        wait: Pin<&mut Sleep>,
        _: &mut Req,
        _: Instant,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Rejection>> {
        ready!(wait.poll(cx));
        Poll::Ready(Err(Rejection::new("full", Kind::Full)))
    }

    fn abandon(&self, _: Pin<&mut Sleep>, _: Instant) {}

    fn finish(&self, (): (), _: &Outcome) {}

    fn revoke(&self, (): (), _: Instant, _: Instant) {}
}

#[tokio::test]
async fn law_03_requests_that_a_queue_rejects_after_a_wait_have_spent_nothing() {
    let server = Server::start();
    let limit = builder(&server)
        .quota(Quota::per_second(50).burst(100).named("q"))
        .connect()
        .expect("valid");
    let handle = limit.handle();
    handle.wait_connected().await;
    let layer = GateLayer::new((limit, FullQueue));
    let mut callers = JoinSet::new();
    for _ in 0..99 {
        let gate = layer.layer(service_fn(async |_: Request<()>| {
            Ok::<_, std::convert::Infallible>(http::Response::new(String::new()))
        }));
        callers.spawn(async move { gate.oneshot(Request::new(())).await.expect("infallible") });
    }
    for response in callers.join_all().await {
        assert_eq!(response.status(), 503);
    }
    assert_eq!((handle.admitted(), handle.refunds()), (99, 99));
    let (start, mut left) = (Instant::now(), 0);
    while ask(&layer.policy().0, &mut ()).await.is_ok() {
        left += 1;
    }
    let refilled = start.elapsed().as_millis() / 20 + 2;
    assert!(
        (100..=100 + refilled).contains(&left),
        "{left} of 100 are left"
    );
}

/// The local limits that decide while Redis is down.
#[tokio::test]
async fn law_03_waiters_that_are_rejected_while_redis_is_down_have_spent_nothing() {
    let url = format!("redis://127.0.0.1:{}", free_port());
    let limit = RedisRateLimit::builder(RedisServer::new(url).expect("a URL"))
        .quota(Quota::per_second(50).burst(100))
        .connect()
        .expect("valid");
    let now = Instant::now();
    let take = |now| match limit.admit(&mut (), now) {
        Verdict::Admit(permit) => Some(permit),
        _ => None,
    };
    let permits: Vec<_> = (0..99).map(|_| take(now).expect("room")).collect();
    let later = now + ms(50);
    for permit in permits {
        Policy::<()>::revoke(&limit, permit, now, later);
    }
    let mut left = 0;
    while take(later).is_some() {
        left += 1;
    }
    // All waits together cost at most what is refilled within one of them: 2.5 tokens.
    assert!((97..=100).contains(&left), "{left} of 100 are left");
}

type Key = fn(&Caller) -> Option<&'static str>;
const BY_NAME: Key = |caller| Some(caller.0);

/// Tokens that exceed the size of their lease, or of an expired lease, are refunded in Redis.
#[tokio::test]
async fn law_03_tokens_without_room_in_their_lease_are_refunded_in_redis() {
    let server = Server::start();
    for (name, lifetime) in [("full", ms(3_600_000)), ("expired", ms(100))] {
        let limit = builder(&server)
            .quota(Quota::new(40, LONG).fixed_window().named("q"))
            .per_key(BY_NAME, Missing::Share, 10_000)
            .lease(LeaseSettings::new(10).low_water(5).lifetime(lifetime))
            .expect("valid");
        let handle = limit.handle();
        handle.wait_connected().await;
        let mut caller = Caller(name);
        let tokens = || {
            let tokens_of = |cell: &plimsoll_redis::LeaseCell<_, _>| cell.tokens(Instant::now());
            limit.leases().with_cell(name, tokens_of).unwrap_or(0)
        };
        assert!(ask(&limit, &mut caller).await.is_ok());
        let mut permits = Vec::new();
        let now = Instant::now();
        while permits.len() < 10 {
            let Verdict::Admit(permit) = limit.admit(&mut caller, now) else {
                panic!("ten in hand")
            };
            permits.push(permit);
        }
        until("the next batch has arrived", || async { tokens() == 10 }).await;
        if name == "expired" {
            sleep(lifetime).await;
            assert_eq!(tokens(), 0);
        }
        for permit in permits {
            Policy::<Caller>::revoke(&limit, permit, now, Instant::now());
        }
        assert_eq!((handle.refunds(), handle.refunds_dropped()), (10, 0));
        let mut admitted = 1;
        while ask(&limit, &mut caller).await.is_ok() {
            admitted += 1;
        }
        // The second batch was not spent before it expired.
        let lost = if name == "expired" { 10 } else { 0 };
        assert_eq!(admitted, 40 - lost, "{name}");
    }
}
