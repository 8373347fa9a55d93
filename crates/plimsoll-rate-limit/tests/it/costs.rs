//! Costs of requests, taken on admission or charged at the end.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt as _, StreamBody};
use plimsoll_core::{
    Class, Cost, GateLayer, Missing, Outcome, Policy,
    policy::{Spent, Verdict},
};
use plimsoll_rate_limit::{KeyedRateLimit, Quota, RateLimit};
use tokio::time::{Instant, advance};
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::{greedy, limit, ms, revoke};

/// The cost that the request contains.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature of `RequestCost`"
)]
fn own_cost(cost: &u32) -> u32 {
    *cost
}

/// `Ok` when a request of this cost is admitted, or the wait.
fn ask<const N: usize>(
    limit: &RateLimit<N, fn(&u32) -> u32>,
    cost: u32,
    now: Instant,
) -> Result<(), Option<Duration>> {
    match limit.admit(&mut { cost }, now) {
        Verdict::Admit(_) => Ok(()),
        Verdict::Reject(rejection) => Err(rejection.retry_after()),
        Verdict::Wait(_) => unreachable!("a rate limit has no queue"),
    }
}

fn weighed(quota: Quota) -> RateLimit<1, fn(&u32) -> u32> {
    limit(quota).cost(own_cost)
}

#[test]
fn a_request_takes_its_cost_and_waits_for_all_of_it() {
    let limit = weighed(Quota::per_second(10).burst(10));
    let now = Instant::now();
    assert!(ask(&limit, 7, now).is_ok());
    assert_eq!(limit.available(now), 3);
    assert_eq!(ask(&limit, 5, now), Err(Some(ms(200))));
    assert_eq!(limit.available(now), 3, "a rejected request took nothing");
    assert!(ask(&limit, 3, now).is_ok(), "a smaller cost fits");
    assert_eq!(ask(&limit, 10, now), Err(Some(ms(1000))));
    assert!(ask(&limit, 10, now + ms(1000)).is_ok());
}

#[test]
fn a_request_that_costs_nothing_is_always_admitted() {
    for quota in [
        Quota::per_second(2),
        Quota::per_second(2).fixed_window(),
        Quota::per_second(2).sliding_window(),
    ] {
        let limit = weighed(quota);
        let now = Instant::now();
        assert!(ask(&limit, 2, now).is_ok());
        for _ in 0..100 {
            assert!(ask(&limit, 0, now).is_ok());
        }
        assert_eq!(limit.available(now), 0);
        assert!(ask(&limit, 1, now).is_err());
        assert!(ask(&limit, 2, now + ms(2000)).is_ok(), "nothing was taken");
    }
}

#[test]
fn a_cost_over_the_quota_is_never_admitted() {
    for quota in [
        Quota::per_second(20).burst(5),
        Quota::per_second(5).fixed_window(),
        Quota::per_second(5).sliding_window(),
    ] {
        let limit = weighed(quota);
        let now = Instant::now();
        for cost in [6, 1000, u32::MAX] {
            assert_eq!(ask(&limit, cost, now), Err(None));
            assert_eq!(ask(&limit, cost, now + ms(1_000_000_000)), Err(None));
        }
        assert!(ask(&limit, 5, now + ms(1_000_000_000)).is_ok());
    }
    // One of several quotas is enough, and no other quota's wait is given.
    let both = RateLimit::all([Quota::per_second(5), Quota::per_hour(1000)]);
    let both = both.expect("valid").cost(own_cost as fn(&u32) -> u32);
    let now = Instant::now();
    assert!(ask(&both, 5, now).is_ok());
    assert_eq!(ask(&both, 6, now), Err(None));
    assert_eq!(ask(&both, 5, now), Err(Some(ms(1000))));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_never_admitted_gets_no_retry_after() {
    let weigh = |req: &Request<u32>| *req.body();
    let limit = limit(Quota::per_second(5).named("weight")).cost(weigh);
    let layer = GateLayer::new(limit);
    let call = async |cost: u32| -> (StatusCode, HeaderMap) {
        let service =
            service_fn(async |_: Request<u32>| Ok::<_, Infallible>(Response::new(chunks(1, None))));
        let response = layer.layer(service).oneshot(Request::new(cost)).await;
        let (head, _) = response.expect("infallible").into_parts();
        (head.status, head.headers)
    };
    let (status, headers) = call(6).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    for name in ["retry-after", "ratelimit"] {
        assert!(!headers.contains_key(name), "{headers:?}");
    }

    assert_eq!(call(5).await.0, StatusCode::OK);
    assert_eq!(call(5).await.1["retry-after"], "1");
}

#[test]
fn a_cost_is_refunded_in_full() {
    let limit = limit(Quota::per_second(10)).cost(own_cost as fn(&u32) -> u32);
    let now = Instant::now();
    for cost in [0, 1, 7, 10] {
        let Verdict::Admit(permit) = limit.admit(&mut { cost }, now) else {
            panic!("{cost} of 10 are rejected");
        };
        assert_eq!(limit.available(now), u64::from(10 - cost));
        Policy::<u32>::revoke(&limit, permit, now, now);
        assert_eq!(limit.available(now), 10);
    }
}

/// A body of `count` chunks of ten bytes. Each adds 7 to the cost, if there is one.
fn chunks(count: usize, cost: Option<Cost>) -> impl Body<Data = Bytes, Error = Infallible> {
    StreamBody::new(stream::iter((0..count).map(move |_| {
        if let Some(cost) = &cost {
            cost.add(7);
        }
        Ok(Frame::data(Bytes::from_static(b"0123456789")))
    })))
}

/// Calls, and reads this many frames of the response.
async fn read<P: Policy<Request<()>> + 'static>(
    layer: &GateLayer<P>,
    frames: usize,
    cost: Option<Cost>,
) -> StatusCode {
    let service = service_fn(async |_: Request<()>| {
        let mut response = Response::new(chunks(3, cost.clone()));
        if let Some(cost) = &cost {
            response.extensions_mut().insert(cost.clone());
        }
        Ok::<_, Infallible>(response)
    });
    let response = layer.layer(service).oneshot(Request::new(())).await;
    let response = response.expect("infallible");
    let (status, mut body) = (response.status(), response.into_body());
    for _ in 0..frames {
        _ = body.frame().await;
    }
    status
}

#[tokio::test(start_paused = true)]
async fn a_streamed_body_is_charged_by_its_bytes_at_its_end() {
    // Ten bytes per second, a burst of a hundred. A request takes one on admission.
    let limit = limit(Quota::per_second(10).burst(100)).charge(Outcome::bytes);
    let layer = GateLayer::new(limit);
    assert_eq!(read(&layer, 4, None).await, StatusCode::OK);
    assert_eq!(layer.policy().available(Instant::now()), 100 - 1 - 30);
    for _ in 0..3 {
        assert_eq!(read(&layer, 4, None).await, StatusCode::OK);
    }
    // Four times 31, of 100: the debt of 24 is refilled in 2.4 s, and the next token in another 0.1
    // s.
    assert_eq!(read(&layer, 4, None).await, StatusCode::TOO_MANY_REQUESTS);
    advance(ms(2499)).await;
    assert_eq!(read(&layer, 4, None).await, StatusCode::TOO_MANY_REQUESTS);
    advance(ms(1)).await;
    assert_eq!(read(&layer, 4, None).await, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_cut_off_is_charged_for_what_was_sent() {
    let limit = limit(Quota::per_second(10).burst(100)).charge(Outcome::bytes);
    let layer = GateLayer::new(limit);
    for (frames, left) in [(0, 99), (1, 99 - 11), (2, 99 - 11 - 21)] {
        assert_eq!(read(&layer, frames, None).await, StatusCode::OK);
        assert_eq!(layer.policy().available(Instant::now()), left);
    }
}

#[tokio::test(start_paused = true)]
async fn a_cost_that_the_handler_reports_is_charged() {
    let limit = limit(Quota::per_minute(100)).charge(Outcome::cost);
    let layer = GateLayer::new(limit);
    for (frames, left) in [(1, 99 - 5 - 7), (4, 87 - 1 - 5 - 21), (0, 60 - 1 - 5)] {
        let cost = Some(Cost::new(5));
        assert_eq!(read(&layer, frames, cost).await, StatusCode::OK);
        assert_eq!(layer.policy().available(Instant::now()), left);
    }
}

fn charged(now: Instant, cost: u64) -> Outcome {
    Outcome::new(Class::Success, Duration::ZERO, now).spending(Spent {
        cost,
        ..Spent::default()
    })
}

#[test]
fn a_debt_is_refilled_at_the_rate_of_the_quota() {
    let limit = limit(Quota::per_second(10).burst(5)).charge(Outcome::cost);
    let now = Instant::now();
    let permit = crate::ask(&limit, now).expect("full");
    Policy::<()>::finish(&limit, permit, &charged(now, 24));
    // One taken and 24 charged, of five: a debt of 20.
    assert_eq!(limit.available(now), 0);
    assert_eq!(crate::ask(&limit, now).expect_err("in debt"), ms(2100));
    assert_eq!(greedy(&limit, now + ms(2099)), 0);
    assert_eq!(greedy(&limit, now + ms(2100)), 1);
    assert_eq!(greedy(&limit, now + ms(2600)), 5);
}

#[test]
fn the_debt_of_a_window_ends_with_the_window() {
    let limit = limit(Quota::per_second(5).fixed_window()).charge(Outcome::cost);
    let now = Instant::now();
    let permit = crate::ask(&limit, now).expect("full");
    Policy::<()>::finish(&limit, permit, &charged(now, 1000));
    assert_eq!(crate::ask(&limit, now).expect_err("in debt"), ms(1000));
    assert_eq!(greedy(&limit, now + ms(1000)), 5);
}

#[test]
fn no_debt_is_longer_than_417_days() {
    let limit = limit(Quota::per_day(1)).charge(Outcome::cost);
    let now = Instant::now();
    for _ in 0..2 {
        // The request is admitted while there is no debt, and its cost exceeds 32 bits.
        if let Ok(permit) = crate::ask(&limit, now) {
            Policy::<()>::finish(&limit, permit, &charged(now, u64::MAX));
        }
        let wait = crate::ask(&limit, now).expect_err("in debt");
        let day = Duration::from_secs(24 * 60 * 60);
        assert!(wait > day * 416 && wait <= day * 418, "{wait:?}");
    }
}

#[test]
fn a_call_that_is_charged_nothing_or_never_ran_leaves_no_debt() {
    let limit = limit(Quota::per_second(10)).charge(Outcome::cost);
    let now = Instant::now();
    let permit = crate::ask(&limit, now).expect("full");
    Policy::<()>::finish(&limit, permit, &charged(now, 0));
    assert_eq!(limit.available(now), 9);
    let permit = crate::ask(&limit, now).expect("nine left");
    revoke(&limit, permit, now, now);
    assert_eq!(limit.available(now), 9);
}

#[test]
fn every_quota_is_charged() {
    let limit = RateLimit::all([Quota::per_second(50), Quota::per_hour(100).fixed_window()]);
    let limit = limit.expect("valid").charge(Outcome::cost);
    let now = Instant::now();
    let Verdict::Admit(permit) = limit.admit(&mut (), now) else {
        panic!("rejected");
    };
    Policy::<()>::finish(&limit, permit, &charged(now, 39));
    assert_eq!(limit.available(now), 10);
    assert_eq!(limit.available(now + ms(2000)), 50, "the hour has 60 left");
}

/// One set of four cells, and five keys.
#[test]
fn an_evicted_key_keeps_its_debt() {
    let key = |key: &u32| Some(*key);
    let limit: KeyedRateLimit<_> = RateLimit::new(Quota::per_second(10))
        .expect("valid")
        .charge(Outcome::cost)
        .per_key(key, Missing::Share, 3)
        .expect("valid");
    let (handle, now) = (limit.handle(), Instant::now());
    assert_eq!(handle.capacity(), 4);
    let admit = |mut key: u32, now| match limit.admit(&mut key, now) {
        Verdict::Admit(permit) => Some(permit),
        _ => None,
    };
    let slow = admit(0, now).expect("new");
    for key in 1..=4 {
        assert!(admit(key, now).is_some());
    }
    assert_eq!(handle.available(0_u32, now), None, "evicted by key 4");
    // The call of the evicted key ends, at a cost above the burst.
    Policy::<u32>::finish(&limit, slow, &charged(now, 30));
    assert_eq!(handle.available(0_u32, now), Some(0));
    assert!(admit(0, now + ms(2000)).is_none());
    // The key is known now, so a flood does not evict it.
    for key in 5..50 {
        for _ in 0..10 {
            admit(key, now + ms(2000));
        }
    }
    assert_eq!(handle.available(0_u32, now), Some(0));
    assert!(admit(0, now + ms(2000)).is_none());
}

/// One set of four cells, all of known keys.
#[test]
fn the_debt_of_a_key_without_a_cell_is_kept() {
    let key = |key: &u32| Some(*key);
    let limit: KeyedRateLimit<_> = RateLimit::new(Quota::per_second(10))
        .expect("valid")
        .charge(Outcome::cost)
        .per_key(key, Missing::Share, 3)
        .expect("valid");
    let (handle, now) = (limit.handle(), Instant::now());
    let admit = |mut key: u32, now| match limit.admit(&mut key, now) {
        Verdict::Admit(permit) => Some(permit),
        _ => None,
    };
    for key in [1, 2, 3, 4, 1, 2, 3, 4] {
        assert!(admit(key, now).is_some());
    }
    let slow = admit(0, now).expect("the overflow bucket is full");
    let revoked = admit(0, now).expect("eight are left");
    Policy::<u32>::revoke(&limit, revoked, now, now);
    let others = (0..20).filter(|_| admit(5, now).is_some()).count();
    assert_eq!(
        others, 9,
        "one of ten tokens is missing, and the revoked one is not"
    );
    assert_eq!((handle.overflowed(), handle.keys()), (22, 4));
    // The call cost more than a burst: 40 tokens are missing, so the first is available after 3.1
    // seconds.
    Policy::<u32>::finish(&limit, slow, &charged(now, 30));
    assert_eq!(handle.available(0_u32, now), None);
    assert!(admit(0, now + ms(3000)).is_none());
    // Ten minutes later there is a cell for the key.
    assert!(admit(0, now + ms(600_000)).is_some());
    assert_eq!(handle.available(0_u32, now + ms(600_000)), Some(9));
}
