//! One key through the handle: read, reset, granted tokens.

use std::{net::SocketAddr, time::Duration};

use http::{HeaderValue, Request, header};
use plimsoll_core::{
    ApiKey, BearerToken, ClientIp, HeaderKey, Key, Missing, Policy, Route, key::PeerAddr,
    policy::Verdict,
};
use plimsoll_rate_limit::{LimitKey, Quota, RateLimit};
use tokio::time::Instant;

/// Takes all tokens of this request's key, and finds the same key by its name.
fn is_the_same<K: Key<Request<()>>>(key: K, mut req: Request<()>, name: LimitKey<'_>) {
    let limit = RateLimit::new(Quota::per_hour(3))
        .expect("valid")
        .per_key(key, Missing::Share, 100)
        .expect("valid");
    let (handle, now) = (limit.handle(), Instant::now());
    let mut admitted = || {
        (0..10)
            .filter(|_| matches!(limit.admit(&mut req, now), Verdict::Admit(_)))
            .count()
    };
    assert_eq!(handle.available(name, now), None);
    assert_eq!(admitted(), 3);
    assert_eq!(handle.available(name, now), Some(0), "{name:?}");
    assert!(handle.grant(name, 2, now));
    assert_eq!(admitted(), 2);
    assert!(handle.reset(name));
    assert_eq!(admitted(), 3);
    assert_eq!((handle.keys(), handle.missing()), (1, 0));
}

fn from(addr: &str) -> Request<()> {
    let mut req = Request::new(());
    let addr: SocketAddr = addr.parse().expect("an address");
    req.extensions_mut().insert(PeerAddr(addr));
    req
}

fn with(name: header::HeaderName, value: &'static str) -> Request<()> {
    let mut req = Request::new(());
    req.headers_mut()
        .insert(name, HeaderValue::from_static(value));
    req
}

#[test]
fn a_client_is_found_by_its_address() {
    let name = |addr: &str| LimitKey::client_ip(addr.parse().expect("an address"));
    is_the_same(ClientIp::peer(), from("192.0.2.7:80"), name("192.0.2.7"));
    is_the_same(
        ClientIp::peer(),
        from("[::ffff:192.0.2.7]:80"),
        name("192.0.2.7"),
    );
    is_the_same(
        ClientIp::peer(),
        from("[2001:db8:1:2:3:4:5:6]:80"),
        name("2001:db8:1:2::9"),
    );
    for (bits, neighbour) in [
        (48, "2001:db8:1:ff::"),
        (128, "2001:db8:1:2:3:4:5:6"),
        (0, "::"),
    ] {
        is_the_same(
            ClientIp::peer().v6_prefix(bits),
            from("[2001:db8:1:2:3:4:5:6]:80"),
            LimitKey::client_network(neighbour.parse().expect("an address"), bits),
        );
    }
}

#[test]
fn a_caller_is_found_by_its_headers() {
    let api_key = header::HeaderName::from_static("x-api-key");
    is_the_same(
        ApiKey::new(),
        with(api_key, "s3cret"),
        LimitKey::api_key("s3cret"),
    );
    is_the_same(
        BearerToken::new(),
        with(header::AUTHORIZATION, "bearer abc.def"),
        LimitKey::bearer("abc.def"),
    );
    let tenant = header::HeaderName::from_static("x-tenant");
    is_the_same(
        HeaderKey(tenant.clone()),
        with(tenant.clone(), "acme"),
        LimitKey::header("acme"),
    );
    is_the_same(
        HeaderKey(tenant.clone()),
        with(tenant, "acme"),
        LimitKey::header(&HeaderValue::from_static("acme")),
    );
    let mut req = Request::new(());
    *req.uri_mut() = http::Uri::from_static("/helloworld.Greeter/SayHello");
    is_the_same(
        Route::grpc(),
        req,
        LimitKey::route("/helloworld.Greeter/SayHello"),
    );
}

#[test]
fn debug_output_contains_no_secret() {
    for name in [
        LimitKey::api_key("s3cret"),
        LimitKey::bearer("s3cret"),
        LimitKey::header("s3cret"),
    ] {
        assert_eq!(format!("{name:?}"), "LimitKey(..)");
    }
}

#[test]
fn a_grant_never_exceeds_the_quota() {
    let key = |tenant: &u8| Some(*tenant);
    for quota in [
        Quota::per_hour(10),
        Quota::per_hour(10).fixed_window(),
        Quota::per_hour(10).sliding_window(),
        Quota::per_calendar_hour(10),
    ] {
        let limit = RateLimit::new(quota)
            .expect("valid")
            .per_key(key, Missing::Share, 100)
            .expect("valid");
        let (handle, now) = (limit.handle(), Instant::now());
        for _ in 0..4 {
            assert!(matches!(limit.admit(&mut 1, now), Verdict::Admit(_)));
        }
        assert!(handle.grant(1_u8, 3, now));
        assert_eq!(handle.available(1_u8, now), Some(9));
        assert!(handle.grant(1_u8, 1_000_000, now));
        assert_eq!(handle.available(1_u8, now), Some(10), "{quota:?}");
        assert!(!handle.grant(2_u8, 3, now) && !handle.reset(2_u8));
    }
}

/// Tokens that were taken before a reset are not refunded after it.
#[test]
fn a_reset_ends_refunds_of_earlier_tokens() {
    let key = |tenant: &u8| Some(*tenant);
    for quota in [Quota::per_hour(10), Quota::per_hour(10).fixed_window()] {
        let limit = RateLimit::new(quota)
            .expect("valid")
            .per_key(key, Missing::Share, 100)
            .expect("valid");
        let (handle, start) = (limit.handle(), Instant::now());
        let take = || match limit.admit(&mut 1, start) {
            Verdict::Admit(permit) => permit,
            _ => panic!("rejected with tokens left"),
        };
        let before = take();
        assert!(handle.reset(1_u8));
        for _ in 0..10 {
            take();
        }
        Policy::<u8>::revoke(&limit, before, start, start + Duration::from_millis(1));
        assert_eq!(handle.available(1_u8, start), Some(0));
    }
}
