//! Invalid settings, and credentials.

use std::time::Duration;

use plimsoll_core::Missing;
use plimsoll_rate_limit::Quota;
use plimsoll_redis::{
    InvalidRedisRateLimit as Invalid, LeaseSettings, RedisRateLimit, RedisRateLimitBuilder,
    RedisServer,
};

use crate::{ask, ms, server::Server};

fn nowhere() -> RedisRateLimitBuilder {
    RedisRateLimit::builder(RedisServer::new("redis://127.0.0.1:1").expect("a URL"))
}

const OK: Quota = Quota::per_second(10);

/// The error message. Builds nothing.
fn message(builder: RedisRateLimitBuilder) -> String {
    builder.connect().expect_err("invalid").to_string()
}

#[tokio::test]
async fn an_invalid_setting_names_field_and_bound() {
    let with = |quota| nowhere().quota(quota);
    let many = (1..=5).fold(nowhere(), |builder, count| {
        builder.quota(Quota::per_second(count))
    });
    let cases = [
        (nowhere(), "number of quotas must be 1 to 4, got 0"),
        (many, "number of quotas must be 1 to 4, got 5"),
        (
            with(Quota::per_second(0)),
            "count must be at least 1 request, got 0",
        ),
        (with(OK.named("a\"b")), "backslashes, got \"a\\\"b\""),
        (
            with(OK.named("a{b")),
            "name of a quota must be without braces, got \"a{b\"",
        ),
        (
            with(OK.named("a")).quota(OK.named("a")),
            "names of quotas must differ, got \"a\" twice",
        ),
        (
            with(OK).quota(OK),
            "names of quotas must differ, got \"bucket-10-1000000-10\" twice",
        ),
        (
            with(Quota::new(1, Duration::from_nanos(1500))),
            "period must be whole microseconds, at least one, got 1.5µs",
        ),
        (
            with(Quota::new(3, Duration::from_micros(2)).burst(1)),
            "count must be at most 1 request per microsecond, got 3 per 2µs",
        ),
        (
            with(Quota::new(1 << 20, crate::LONG).sliding_window()),
            "must be at most 2^52, got 1048576 per 31449600s",
        ),
        (with(OK).prefix("a b"), "and braces, got \"a b\""),
        (with(OK).prefix(""), "and braces, got \"\""),
        (
            with(OK).deadline(ms(0)),
            "deadline must be 1 ms to 10 s, got 0ns",
        ),
        (
            with(OK).connections(0),
            "connections must be 1 to 64, got 0",
        ),
        (
            with(OK).queue(0),
            "queue must be 1 to 65536 questions, got 0",
        ),
        (with(OK).replicas(0), "replicas must be at least 1, got 0"),
    ];
    for (builder, expected) in cases {
        let error = message(builder);
        assert!(error.contains(expected), "{error:?}, expected {expected:?}");
    }
    let no_capacity = with(OK).per_key(|(): &()| Some(1), Missing::Share, 0);
    let error = no_capacity.connect().expect_err("invalid").to_string();
    assert_eq!(error, "capacity must be 1 to 2^28 keys, got 0");
}

#[tokio::test]
async fn an_invalid_lease_names_field_and_bound() {
    for (lease, expected) in [
        (
            LeaseSettings::new(0),
            "batch of a lease must be 1 to 10, the smallest quota, got 0",
        ),
        (
            LeaseSettings::new(11),
            "batch of a lease must be 1 to 10, the smallest quota, got 11",
        ),
        (
            LeaseSettings::new(4).low_water(5),
            "low_water of a lease must be at most its batch, 4, got 5",
        ),
        (
            LeaseSettings::new(4).lifetime(ms(0)),
            "lifetime of a lease must be 1 ms to 1 hour, got 0ns",
        ),
    ] {
        let error = nowhere()
            .quota(OK.named("q"))
            .lease(lease)
            .expect_err("invalid")
            .to_string();
        assert!(error.contains(expected), "{error:?}, expected {expected:?}");
    }
}

#[test]
fn without_a_runtime_the_result_is_an_error() {
    let error = nowhere()
        .quota(OK.named("q"))
        .connect()
        .expect_err("no runtime");
    assert!(matches!(error, Invalid::NoRuntime));
}

#[test]
fn an_invalid_address_is_an_error_and_no_password_is_printed() {
    assert!(RedisServer::new("http://localhost").is_err());
    let server = RedisServer::new("redis://user:hunter2@localhost:7000").expect("a URL");
    let text = format!("{server:?}");
    assert!(
        text.contains("localhost") && !text.contains("hunter2"),
        "{text}"
    );
}

/// Whether Redis decides with these credentials.
async fn works(url: String) -> bool {
    let limit = RedisRateLimit::builder(RedisServer::new(url).expect("a URL"))
        .quota(Quota::per_hour(100).named("q"))
        .deadline(ms(1000))
        .connect()
        .expect("valid");
    let handle = limit.handle();
    _ = tokio::time::timeout(ms(1000), handle.wait_connected()).await;
    let permit = ask(&limit, &mut ()).await.expect("by Redis, or locally");
    let (admitted, local) = (handle.admitted(), handle.local());
    assert_eq!(admitted + local, 1);
    // A user that may take may also refund.
    plimsoll_core::Policy::<()>::revoke(
        &limit,
        permit,
        tokio::time::Instant::now(),
        tokio::time::Instant::now(),
    );
    if admitted == 1 {
        _ = ask(&limit, &mut ()).await;
        assert_eq!((handle.errors(), handle.refunds_dropped()), (0, 0));
    }
    admitted == 1
}

#[tokio::test]
async fn only_the_right_password_and_acl_user_work() {
    let server = Server::with(&["--requirepass", "hunter2"]);
    let port = server.port();
    assert!(works(format!("redis://:hunter2@127.0.0.1:{port}")).await);
    assert!(!works(format!("redis://:wrong@127.0.0.1:{port}")).await);
    assert!(!works(format!("redis://127.0.0.1:{port}")).await);

    // Only the rights that the docs of `RedisServer` list.
    let client = redis::Client::open(format!("redis://:hunter2@127.0.0.1:{port}")).expect("a URL");
    let mut connection = client.get_connection().expect("it listens");
    let made: redis::RedisResult<()> = redis::cmd("ACL")
        .arg("SETUSER")
        .arg("limiter")
        .arg(&[
            "on",
            ">secret",
            "~plimsoll:*",
            "+evalsha",
            "+script|load",
            "+time",
            "+get",
            "+set",
        ])
        .arg("+del")
        .query(&mut connection);
    made.expect("an ACL user");
    assert!(works(format!("redis://limiter:secret@127.0.0.1:{port}")).await);
    assert!(!works(format!("redis://limiter:hunter2@127.0.0.1:{port}")).await);
}

#[cfg(unix)]
#[tokio::test]
async fn a_unix_socket_works() {
    let server = Server::with(&["--unixsocket", "redis.sock"]);
    let path = server.folder().join("redis.sock");
    assert!(works(format!("redis+unix://{}", path.display())).await);
}
