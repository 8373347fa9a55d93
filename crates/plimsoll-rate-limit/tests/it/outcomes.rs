//! Refunds by outcome, and user code that panics.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use plimsoll_core::{Class, GateLayer, Missing, Outcome, Policy, policy::Verdict};
use plimsoll_rate_limit::{Quota, RateLimit};
use tokio::time::Instant;
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::{ask, greedy, limit, ms};

const LOG_IN: Quota = Quota::new(5, Duration::from_secs(15 * 60));

fn ended(class: Class, at: Instant) -> Outcome {
    Outcome::new(class, Duration::ZERO, at)
}

fn log_in(quota: Quota) -> RateLimit {
    limit(quota).refund(|outcome| outcome.class == Class::Success)
}

#[test]
fn only_failed_log_ins_count() {
    for quota in [
        LOG_IN,
        LOG_IN.fixed_window(),
        LOG_IN.sliding_window(),
        Quota::per_calendar_week(5),
    ] {
        let limit = log_in(quota);
        let now = Instant::now();
        for _ in 0..50 {
            let permit = ask(&limit, now).expect("successful requests do not count");
            Policy::<()>::finish(&limit, permit, &ended(Class::Success, now));
        }
        assert_eq!(limit.available(now), 5);
        for failed in 1..=5 {
            let permit = ask(&limit, now).expect("fewer than five");
            Policy::<()>::finish(&limit, permit, &ended(Class::Failure, now));
            assert_eq!(limit.available(now), 5 - failed);
        }
        assert!(ask(&limit, now).is_err());
    }
}

#[test]
fn a_hundred_concurrent_log_ins_cannot_exceed_the_limit() {
    let limit = log_in(LOG_IN);
    let now = Instant::now();
    let permits: Vec<_> = (0..100).filter_map(|_| ask(&limit, now).ok()).collect();
    assert_eq!(permits.len(), 5);
    // Two of the five succeed, 200 ms later.
    let later = now + ms(200);
    for (n, permit) in permits.into_iter().enumerate() {
        let class = if n % 2 == 1 {
            Class::Success
        } else {
            Class::Failure
        };
        Policy::<()>::finish(&limit, permit, &ended(class, later));
    }
    assert_eq!(greedy(&limit, later), 2);
}

/// As in the guide: a real gate, and outcomes by status.
#[tokio::test(start_paused = true)]
async fn a_gate_counts_responses_that_are_not_successful() {
    let layer = GateLayer::new(log_in(LOG_IN));
    let service = layer.layer(service_fn(|req: Request<StatusCode>| async move {
        let mut response = Response::new(Full::new(Bytes::from("hello")));
        *response.status_mut() = *req.body();
        Ok::<_, std::convert::Infallible>(response)
    }));
    let call = |status| {
        let service = service.clone();
        async move {
            let Ok(response) = service.oneshot(Request::new(status)).await;
            let got = response.status();
            _ = response.into_body().collect().await;
            got
        }
    };
    for _ in 0..20 {
        assert_eq!(call(StatusCode::OK).await, StatusCode::OK);
    }
    for status in [401, 403, 500, 503, 404] {
        let status = StatusCode::from_u16(status).expect("a status");
        assert_eq!(call(status).await, status);
        assert_eq!(call(StatusCode::OK).await == StatusCode::OK, status != 404);
    }
    assert_eq!(call(StatusCode::OK).await, StatusCode::TOO_MANY_REQUESTS);
}

#[test]
fn a_part_of_a_cost_can_be_refunded() {
    let limit = limit(Quota::per_hour(100))
        .cost(|cost: &u32| *cost)
        .refund(|outcome| u32::try_from(outcome.latency().as_millis()).unwrap_or(u32::MAX));
    let now = Instant::now();
    for (unused, left) in [(0, 90), (4, 84), (1000, 84)] {
        let Verdict::Admit(permit) = limit.admit(&mut 10, now) else {
            panic!("rejected with tokens left");
        };
        let outcome = Outcome::new(Class::Success, ms(unused), now);
        Policy::<u32>::finish(&limit, permit, &outcome);
        assert_eq!(limit.available(now), left);
    }
}

#[test]
fn a_key_is_refunded_and_charged_on_its_own() {
    let key = |tenant: &u8| Some(*tenant);
    let limit = log_in(LOG_IN)
        .charge(|outcome| u64::from(outcome.class == Class::Overloaded) * 2)
        .per_key(key, Missing::Share, 10)
        .expect("valid");
    let handle = limit.handle();
    let now = Instant::now();
    let run = |mut tenant: u8, class| match limit.admit(&mut tenant, now) {
        Verdict::Admit(permit) => Policy::<u8>::finish(&limit, permit, &ended(class, now)),
        _ => panic!("rejected with tokens left"),
    };
    run(1, Class::Success);
    run(1, Class::Failure);
    run(2, Class::Success);
    run(3, Class::Overloaded);
    let left = [1_u8, 2, 3].map(|tenant| handle.available(tenant, now));
    assert_eq!(left, [Some(4), Some(5), Some(2)]);
}

/// After a panic in a closure, no token was taken, or the tokens that were taken stay taken.
#[test]
fn user_code_that_panics_loses_no_tokens() {
    let now = Instant::now();
    let panics = |call: &mut dyn FnMut()| catch_unwind(AssertUnwindSafe(call)).is_err();

    let weighed = limit(Quota::per_hour(5)).cost(|bad: &bool| {
        assert!(!bad, "a cost");
        1
    });
    for _ in 0..10 {
        assert!(panics(&mut || _ = weighed.admit(&mut true, now)));
    }
    assert_eq!(weighed.available(now), 5);

    let key = |bad: &bool| {
        assert!(!bad, "a key");
        Some(1_u8)
    };
    let keyed = RateLimit::new(Quota::per_hour(5))
        .expect("valid")
        .per_key(key, Missing::Share, 10)
        .expect("valid");
    for _ in 0..10 {
        assert!(panics(&mut || _ = keyed.admit(&mut true, now)));
    }
    assert!(matches!(keyed.admit(&mut false, now), Verdict::Admit(_)));
    assert_eq!(keyed.handle().available(1_u8, now), Some(4));

    let charged = limit(Quota::per_hour(5)).charge(|_| panic!("a charge"));
    let refunded = limit(Quota::per_hour(5)).refund(|outcome| {
        assert_eq!(outcome.class, Class::Success, "a refund");
        true
    });
    for limit in [charged, refunded] {
        for left in (0..5).rev() {
            let permit = ask(&limit, now).expect("enough");
            let outcome = ended(Class::Failure, now);
            assert!(panics(&mut || Policy::<()>::finish(
                &limit, permit, &outcome
            )));
            assert_eq!(limit.available(now), left, "spent, once");
        }
        // No lock is held that a later request would wait for.
        assert_eq!(greedy(&limit, now + Duration::from_secs(3600)), 5);
    }
}
