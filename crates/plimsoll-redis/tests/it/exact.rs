//! The exact limit.

use std::{future::poll_fn, pin::pin, task::Poll};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use plimsoll_core::{GateLayer, Kind, Missing, Policy, policy::Verdict, test_kit::RejectAll};
use plimsoll_rate_limit::Quota;
use tokio::time::Instant;
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::{LONG, ask, builder, ms, server::Server, until};

type Keyed = (&'static str, u32);

#[tokio::test]
async fn admits_the_burst_and_rejects_with_the_exact_wait() {
    let server = Server::start();
    let limit = builder(&server)
        .quota(Quota::per_minute(6).burst(3).named("all"))
        .connect()
        .expect("valid");
    limit.handle().wait_connected().await;
    for n in 0..3 {
        assert!(ask(&limit, &mut ()).await.is_ok(), "request {n}");
    }
    let rejection = ask(&limit, &mut ()).await.expect_err("over the burst");
    assert_eq!(rejection.kind(), Kind::OverQuota);
    assert_eq!(rejection.policy(), "redis-rate-limit");
    let wait = rejection.retry_after().expect("exact").as_secs_f64();
    assert!((9.0..=10.0).contains(&wait), "{wait}");
    let handle = limit.handle();
    assert_eq!((handle.admitted(), handle.rejected()), (3, 1));
    assert_eq!(handle.local(), 0);
}

#[tokio::test]
async fn a_caller_is_admitted_right_after_its_wait() {
    let server = Server::start();
    let limit = builder(&server)
        .quota(Quota::per_second(20).burst(1).named("all"))
        .connect()
        .expect("valid");
    limit.handle().wait_connected().await;
    assert!(ask(&limit, &mut ()).await.is_ok());
    for _ in 0..5 {
        let rejection = ask(&limit, &mut ()).await.expect_err("one per 50 ms");
        tokio::time::sleep(rejection.retry_after().expect("exact")).await;
        assert!(ask(&limit, &mut ()).await.is_ok(), "after the wait");
    }
}

#[tokio::test]
async fn each_key_has_its_own_quota_and_costs_are_taken_in_full() {
    let server = Server::start();
    let limit = builder(&server)
        .quota(Quota::per_minute(1).burst(10).named("per-key"))
        .per_key(|(key, _): &Keyed| Some(*key), Missing::Share, 10_000)
        .cost(|(_, cost): &Keyed| *cost)
        .connect()
        .expect("valid");
    limit.handle().wait_connected().await;
    for (key, cost, admitted) in [
        ("ann", 7, true),
        ("ann", 4, false),
        ("bob", 10, true),
        ("ann", 3, true),
        ("ann", 1, false),
        ("ann", 0, true),
        ("bob", 1, false),
    ] {
        let decided = ask(&limit, &mut (key, cost)).await;
        assert_eq!(decided.is_ok(), admitted, "{key}, {cost}");
    }
    // A cost over the burst is never admitted, and Redis is not asked.
    let rejection = ask(&limit, &mut ("cyd", 11)).await.expect_err("never");
    assert_eq!(
        (rejection.kind(), rejection.retry_after()),
        (Kind::OverQuota, None)
    );
    assert_eq!(limit.handle().over_size(), 1);
    assert!(
        ask(&limit, &mut ("cyd", 10)).await.is_ok(),
        "nothing was spent"
    );
}

#[tokio::test]
async fn several_quotas_of_several_algorithms_are_one_decision() {
    let server = Server::start();
    let limit = builder(&server)
        .quota(Quota::per_hour(3600).burst(4).named("burst"))
        .quota(Quota::new(1000, LONG).fixed_window().named("hourly"))
        .quota(Quota::new(6, LONG).sliding_window().named("daily"))
        .cost(|cost: &u32| *cost)
        .connect()
        .expect("valid");
    limit.handle().wait_connected().await;
    assert!(ask(&limit, &mut 4).await.is_ok());
    let rejection = ask(&limit, &mut 2).await.expect_err("the bucket is empty");
    let wait = rejection.retry_after().expect("exact");
    assert!(
        wait <= ms(2000),
        "the wait of the bucket, not of the window: {wait:?}"
    );
    tokio::time::sleep(wait).await;
    assert!(
        ask(&limit, &mut 2).await.is_ok(),
        "the rejection took nothing from the window"
    );
    let rejection = ask(&limit, &mut 1).await.expect_err("6 per year");
    assert!(
        rejection.retry_after().expect("exact") > ms(2000),
        "the wait of the window"
    );
}

#[tokio::test]
async fn keys_are_hashed_tagged_and_expire() {
    let server = Server::start();
    let limit = builder(&server)
        .quota(Quota::per_second(10).named("one"))
        .quota(Quota::per_minute(10).fixed_window().named("two"))
        .quota(Quota::per_minute(10).sliding_window().named("three"))
        .per_key(|key: &&'static str| Some(*key), Missing::Share, 10_000)
        .prefix("fleet")
        .connect()
        .expect("valid");
    limit.handle().wait_connected().await;
    assert!(ask(&limit, &mut "sk-live-0123").await.is_ok());
    let client = redis::Client::open(server.url()).expect("a URL");
    let mut connection = client.get_connection().expect("it listens");
    let mut keys: Vec<String> = redis::cmd("KEYS")
        .arg("*")
        .query(&mut connection)
        .expect("keys");
    keys.sort();
    let tag = keys[0]
        .split(['{', '}'])
        .nth(1)
        .expect("a hash tag")
        .to_owned();
    assert!(tag.len() == 32 && tag.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let expected = ["one", "three", "two"].map(|name| format!("fleet:{{{tag}}}:{name}"));
    assert_eq!(keys, expected);
    for key in keys {
        let expires: i64 = redis::cmd("PTTL")
            .arg(&key)
            .query(&mut connection)
            .expect("a number");
        assert!((1..=121_000).contains(&expires), "{key}: {expires}");
    }
}

#[tokio::test]
async fn another_secret_means_other_keys() {
    let server = Server::start();
    let with = |secret: &[u8]| {
        builder(&server)
            .quota(Quota::per_hour(1).named("q"))
            .secret(secret)
            .connect()
            .expect("valid")
    };
    let (ours, same, theirs) = (with(b"a"), with(b"a"), with(b"b"));
    for limit in [&ours, &same, &theirs] {
        limit.handle().wait_connected().await;
    }
    assert!(ask(&ours, &mut ()).await.is_ok());
    assert!(ask(&same, &mut ()).await.is_err(), "the same counter");
    assert!(ask(&theirs, &mut ()).await.is_ok(), "another counter");
}

#[tokio::test]
async fn requests_without_a_key_are_admitted_rejected_or_share_a_key() {
    let server = Server::start();
    for (prefix, missing, expected) in [
        ("admit", Missing::Admit, [true, true]),
        ("refuse", Missing::Reject(Kind::OverQuota), [false, false]),
        ("share", Missing::Share, [true, false]),
    ] {
        let limit = builder(&server)
            .quota(Quota::per_hour(1).named("q"))
            .per_key(|key: &Option<u8>| *key, missing, 10_000)
            .prefix(prefix)
            .connect()
            .expect("valid");
        limit.handle().wait_connected().await;
        for expected in expected {
            assert_eq!(ask(&limit, &mut None).await.is_ok(), expected, "{prefix}");
        }
        assert!(
            ask(&limit, &mut Some(1)).await.is_ok(),
            "{prefix}: its own key"
        );
        assert_eq!(limit.handle().missing(), 2);
    }
}

async fn hello(_: Request<()>) -> Result<Response<Full<Bytes>>, std::convert::Infallible> {
    Ok(Response::new(Full::new(Bytes::from("hello"))))
}

#[tokio::test]
async fn named_quotas_are_reported_on_every_response() {
    let server = Server::start();
    let limit = builder(&server)
        .quota(Quota::per_minute(60).burst(2).named("burst"))
        .quota(Quota::new(1000, LONG).fixed_window().named("hourly"))
        .connect()
        .expect("valid");
    let handle = limit.handle();
    handle.wait_connected().await;
    let layer = GateLayer::new(limit);
    for (expected, left) in [(200, [1, 999]), (200, [0, 998]), (429, [0, 998])] {
        let gate = layer.layer(service_fn(hello));
        let response = gate.oneshot(Request::new(())).await.expect("infallible");
        assert_eq!(response.status(), expected);
        let fields = |name| {
            let fields = response.headers().get_all(name).iter();
            fields
                .map(|field| field.to_str().expect("ASCII").to_owned())
                .collect::<Vec<_>>()
        };
        let (policies, lefts) = (fields("ratelimit-policy"), fields("ratelimit"));
        if expected == 200 {
            assert_eq!(
                policies,
                ["\"burst\";q=60;w=60", "\"hourly\";q=1000;w=31449600"]
            );
            assert!(
                lefts[0].starts_with(&format!("\"burst\";r={};t=", left[0])),
                "{lefts:?}"
            );
            assert!(
                lefts[1].starts_with(&format!("\"hourly\";r={};t=", left[1])),
                "{lefts:?}"
            );
        } else {
            // The quota that caused the rejection.
            assert_eq!(policies, ["\"burst\";q=60;w=60"]);
            assert_eq!(lefts, ["\"burst\";r=0;t=1"]);
            assert_eq!(response.headers()["retry-after"], "1");
        }
    }
}

/// Law 3, through Redis.
#[tokio::test]
async fn law_03_tokens_are_refunded_when_a_later_policy_rejects() {
    let server = Server::start();
    for (prefix, quota) in [
        ("g", Quota::new(3, LONG)),
        ("s", Quota::new(3, LONG).sliding_window()),
        ("f", Quota::new(3, LONG).fixed_window()),
    ] {
        let limit = builder(&server)
            .quota(quota)
            .prefix(prefix)
            .connect()
            .expect("valid");
        let handle = limit.handle();
        handle.wait_connected().await;
        let layer = GateLayer::new((limit, RejectAll));
        for n in 1..=10 {
            let gate = layer.layer(service_fn(hello));
            let response = gate.oneshot(Request::new(())).await.expect("infallible");
            // By the second policy: the first one always had room.
            assert_eq!(
                response.status(),
                StatusCode::SERVICE_UNAVAILABLE,
                "{prefix}, {n}"
            );
            assert_eq!(handle.refunds(), n);
        }
        assert_eq!(handle.refunds_dropped(), 0);
        assert!(ask(&layer.policy().0, &mut ()).await.is_ok());
    }
}

/// Law 2, through Redis: a token is refunded at any time of the cancellation.
#[tokio::test]
async fn law_02_an_abandoned_wait_is_refunded() {
    let server = Server::start();
    let limit = builder(&server)
        .quota(Quota::new(1, LONG).fixed_window().named("q"))
        .connections(1)
        .connect()
        .expect("valid");
    let handle = limit.handle();
    handle.wait_connected().await;
    for pause in [0, 0, 0, 1, 5, 20] {
        let now = Instant::now();
        let Verdict::Wait(wait) = limit.admit(&mut (), now) else {
            panic!("a question to Redis")
        };
        let mut wait = pin!(wait);
        // The first poll registers the waker. Then the caller leaves, at various times.
        let first =
            poll_fn(|cx| Poll::Ready(limit.poll_wait(wait.as_mut(), &mut (), Instant::now(), cx)));
        assert!(first.await.is_pending(), "an answer takes time");
        if pause > 0 {
            tokio::time::sleep(ms(pause)).await;
        } else {
            tokio::task::yield_now().await;
        }
        Policy::<()>::abandon(&limit, wait.as_mut(), Instant::now());
        // The next question on the connection is sent after the refund, if not at once.
        until("the token is refunded", || async {
            match ask(&limit, &mut ()).await {
                Ok(permit) => {
                    Policy::<()>::revoke(&limit, permit, Instant::now(), Instant::now());
                    true
                }
                Err(_) => false,
            }
        })
        .await;
    }
    assert_eq!(handle.refunds_dropped(), 0);
    assert_eq!(handle.local(), 0);
}

#[tokio::test]
async fn dropping_the_limit_ends_its_connections() {
    let server = Server::start();
    let clients = || {
        let list = server.command("CLIENT LIST");
        list.lines()
            .filter(|line| !line.contains("cmd=client"))
            .count()
    };
    let limit = builder(&server)
        .quota(Quota::per_second(1).named("q"))
        .connections(3)
        .connect()
        .expect("valid");
    limit.handle().wait_connected().await;
    assert_eq!(clients(), 3);
    drop(limit);
    until("the connections are closed", || async { clients() == 0 }).await;
}
