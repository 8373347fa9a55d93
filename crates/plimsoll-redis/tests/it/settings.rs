//! Bad settings, and credentials.

use std::time::Duration;

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

/// Why it cannot be made; makes nothing.
fn why(builder: RedisRateLimitBuilder) -> String {
    builder.connect().expect_err("invalid").to_string()
}

#[tokio::test]
async fn a_bad_setting_names_field_and_bound() {
    let with = |quota| nowhere().quota(quota);
    let many = (1..=5).fold(nowhere(), |builder, count| {
        builder.quota(Quota::per_second(count))
    });
    let cases = [
        (nowhere(), "there are 0 quotas, but there must be 1 to 4"),
        (many, "there are 5 quotas, but there must be 1 to 4"),
        (
            with(Quota::per_second(0)),
            "count is 0, but must be at least 1 request",
        ),
        (with(OK.named("a\"b")), "name is \"a\\\"b\", but must be"),
        (
            with(OK.named("a{b")),
            "name of a quota is \"a{b\", but must be without braces",
        ),
        (
            with(OK.named("a")).quota(OK.named("a")),
            "two quotas are both called \"a\"",
        ),
        (
            with(OK).quota(OK),
            "two quotas are both called \"bucket-10-1000000-10\"",
        ),
        (
            with(Quota::new(1, Duration::from_nanos(1500))),
            "period is 1.5µs, but must be whole microseconds",
        ),
        (
            with(Quota::new(3, Duration::from_micros(2)).burst(1)),
            "count is 3 per 2µs, but must be at most 1 request per microsecond",
        ),
        (
            with(Quota::new(1 << 20, crate::LONG).sliding_window()),
            "quota is 1048576 per 31449600s, but its size",
        ),
        (with(OK).prefix("a b"), "prefix is \"a b\", but must be"),
        (with(OK).prefix(""), "prefix is \"\", but must be"),
        (
            with(OK).deadline(ms(0)),
            "deadline is 0ns, but must be 1 ms to 10 s",
        ),
        (
            with(OK).connections(0),
            "connections are 0, but must be 1 to 64",
        ),
        (with(OK).queue(0), "queue is 0, but must be 1 to 65536"),
        (
            with(OK).replicas(0),
            "replicas are 0, but must be at least 1",
        ),
        (with(OK).capacity(0), "capacity is 0, but must be"),
    ];
    for (builder, expected) in cases {
        let said = why(builder);
        assert!(said.contains(expected), "{said:?}, expected {expected:?}");
    }
}

#[tokio::test]
async fn a_bad_lease_names_field_and_bound() {
    for (lease, expected) in [
        (
            LeaseSettings::new(0),
            "batch of a lease is 0, but must be 1 to 10",
        ),
        (
            LeaseSettings::new(11),
            "batch of a lease is 11, but must be 1 to 10",
        ),
        (
            LeaseSettings::new(4).low_water(5),
            "low-water mark of a lease is 5",
        ),
        (
            LeaseSettings::new(4).lifetime(ms(0)),
            "lifetime of a lease is 0ns",
        ),
    ] {
        let said = nowhere()
            .quota(OK.named("q"))
            .lease(lease)
            .expect_err("invalid")
            .to_string();
        assert!(said.contains(expected), "{said:?}, expected {expected:?}");
    }
}

#[test]
fn without_a_runtime_there_is_an_error_and_no_panic() {
    let error = nowhere()
        .quota(OK.named("q"))
        .connect()
        .expect_err("no runtime");
    assert!(matches!(error, Invalid::NoRuntime));
}

#[test]
fn a_bad_address_is_an_error_that_tells_no_password() {
    assert!(RedisServer::new("http://localhost").is_err());
    let server = RedisServer::new("redis://user:hunter2@localhost:7000").expect("a URL");
    let text = format!("{server:?}");
    assert!(
        text.contains("localhost") && !text.contains("hunter2"),
        "{text}"
    );
}

/// Whether Redis decides for a caller with these credentials.
async fn works(url: String) -> bool {
    let limit = RedisRateLimit::builder(RedisServer::new(url).expect("a URL"))
        .quota(Quota::per_hour(100).named("q"))
        .deadline(ms(1000))
        .connect()
        .expect("valid");
    let handle = limit.handle();
    _ = tokio::time::timeout(ms(1000), handle.wait_connected()).await;
    let permit = ask(&limit, &mut ()).await.expect("by Redis, or by itself");
    let (admitted, local) = (handle.admitted(), handle.local());
    assert_eq!(admitted + local, 1);
    // What it may spend it may give back.
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
async fn password_and_acl_user_work_and_others_do_not() {
    let server = Server::with(&["--requirepass", "hunter2"]);
    let port = server.port();
    assert!(works(format!("redis://:hunter2@127.0.0.1:{port}")).await);
    assert!(!works(format!("redis://:wrong@127.0.0.1:{port}")).await);
    assert!(!works(format!("redis://127.0.0.1:{port}")).await);

    // The rights that the docs of `RedisServer` name, and no more.
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
