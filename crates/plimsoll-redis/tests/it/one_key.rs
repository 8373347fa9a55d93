//! One key through the handle: reset, granted tokens.

use plimsoll_core::{HeaderKey, Missing, Policy};
use plimsoll_rate_limit::{LimitKey, Quota};
use plimsoll_redis::{RedisRateLimit, RedisServer};
use tokio::time::Instant;

use crate::{
    Caller, LONG, ask, builder,
    server::{Server, free_port},
};

type Key = fn(&Caller) -> Option<&'static str>;
const BY_NAME: Key = |caller| Some(caller.0);

async fn limit(server: &Server, prefix: &str, quota: Quota) -> RedisRateLimit<Key> {
    let limit = builder(server)
        .quota(quota.named("q"))
        .per_key(BY_NAME, Missing::Share, 10_000)
        .secret("a secret")
        .prefix(prefix)
        .connect()
        .expect("valid");
    limit.handle().wait_connected().await;
    limit
}

/// The number of requests admitted before the first rejection.
async fn admitted(limit: &RedisRateLimit<Key>, name: &'static str) -> usize {
    let mut admitted = 0;
    while ask(limit, &mut Caller(name)).await.is_ok() {
        admitted += 1;
    }
    admitted
}

const KINDS: [(&str, Quota); 4] = [
    ("g", Quota::new(5, LONG)),
    ("s", Quota::new(5, LONG).sliding_window()),
    ("f", Quota::new(5, LONG).fixed_window()),
    ("c", Quota::per_calendar_week(5)),
];

#[tokio::test]
async fn one_key_can_be_reset_or_granted_tokens_up_to_its_quota() {
    let server = Server::start();
    for (prefix, quota) in KINDS {
        let limit = limit(&server, prefix, quota).await;
        let handle = limit.handle();
        assert_eq!(handle.reset("ann").await, Ok(false), "{prefix}: no data");
        assert_eq!(handle.grant("ann", 3).await, Ok(false), "{prefix}");
        assert_eq!(admitted(&limit, "ann").await, 5, "{prefix}");
        assert_eq!(admitted(&limit, "bob").await, 5, "{prefix}");
        assert_eq!(handle.grant("ann", 2).await, Ok(true), "{prefix}");
        assert_eq!(admitted(&limit, "ann").await, 2, "{prefix}");
        assert_eq!(handle.grant("ann", u32::MAX).await, Ok(true), "{prefix}");
        assert_eq!(admitted(&limit, "ann").await, 5, "{prefix}");
        assert_eq!(handle.reset("ann").await, Ok(true), "{prefix}");
        assert_eq!(admitted(&limit, "ann").await, 5, "{prefix}");
        assert_eq!(admitted(&limit, "bob").await, 0, "{prefix}: another key");
    }
}

/// Tokens that were taken before a reset are not refunded after it.
#[tokio::test]
async fn a_reset_ends_refunds_of_earlier_tokens() {
    let server = Server::start();
    for (prefix, quota) in KINDS {
        let limit = limit(&server, prefix, quota).await;
        let before = ask(&limit, &mut Caller("ann")).await.expect("room");
        assert_eq!(limit.handle().reset("ann").await, Ok(true));
        assert_eq!(admitted(&limit, "ann").await, 5, "{prefix}");
        Policy::<Caller>::revoke(&limit, before, Instant::now(), Instant::now());
        // Sent after the refund.
        assert_eq!(limit.handle().grant("ann", 0).await, Ok(true));
        assert_eq!(admitted(&limit, "ann").await, 0, "{prefix}");
    }
}

#[tokio::test]
async fn flushed_scripts_lose_neither_a_change_nor_a_refund() {
    let server = Server::start();
    let limit = limit(&server, "p", Quota::new(5, LONG)).await;
    let handle = limit.handle();
    let permit = ask(&limit, &mut Caller("ann")).await.expect("room");
    assert_eq!(admitted(&limit, "ann").await, 4);
    assert_eq!(server.command("SCRIPT FLUSH"), "+OK");
    Policy::<Caller>::revoke(&limit, permit, Instant::now(), Instant::now());
    assert_eq!(handle.grant("ann", 1).await, Ok(true));
    assert_eq!(admitted(&limit, "ann").await, 2);
    assert_eq!(handle.refunds_dropped(), 0);
}

#[tokio::test]
async fn without_redis_a_change_is_an_error() {
    let url = format!("redis://127.0.0.1:{}", free_port());
    let limit = RedisRateLimit::builder(RedisServer::new(url).expect("a URL"))
        .quota(Quota::per_hour(1))
        .connect()
        .expect("valid");
    let error = limit.handle().reset(()).await.expect_err("no server");
    assert_eq!(error.to_string(), "redis: no connection");
}

#[tokio::test]
async fn a_limit_key_matches_the_key_of_requests() {
    let server = Server::start();
    let by_header = HeaderKey::from_static("x-tenant");
    let limit = builder(&server)
        .quota(Quota::new(1, LONG).named("q"))
        .per_key(by_header, Missing::Share, 10_000)
        .connect()
        .expect("valid");
    let handle = limit.handle();
    handle.wait_connected().await;
    let mut req = http::Request::builder()
        .header("x-tenant", "acme")
        .body(())
        .expect("a request");
    assert!(ask(&limit, &mut req).await.is_ok());
    assert!(ask(&limit, &mut req).await.is_err());
    assert_eq!(handle.reset(LimitKey::header("acme")).await, Ok(true));
    assert!(ask(&limit, &mut req).await.is_ok());
}
