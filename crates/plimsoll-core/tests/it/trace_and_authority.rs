//! Keys of outgoing calls: the trace of a request, and its target host.

use std::hash::{BuildHasher as _, RandomState};

use http::{HeaderValue, Request};
use plimsoll_core::{Authority, Key, TraceId, key::AuthorityKey};
use proptest::prelude::*;

const TRACE: u128 = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c;

fn traced(lines: &[&str]) -> Option<u128> {
    let mut req = Request::new(());
    for line in lines {
        let value = HeaderValue::from_str(line).unwrap();
        req.headers_mut().append("traceparent", value);
    }
    TraceId.key(&req)
}

#[test]
fn the_trace_id_is_the_key_for_every_parent_and_flags() {
    for line in [
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-00",
        "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-ff",
        " 00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01\t",
    ] {
        assert_eq!(traced(&[line]), Some(TRACE), "{line:?}");
    }
}

#[test]
fn a_malformed_traceparent_is_no_key() {
    for line in [
        "",
        "00",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
        // All zero.
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        // Upper case and non-hexadecimal characters in each of the four parts.
        "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-B7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319g-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333x-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0x",
        "0x-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "0A-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        // Other separators.
        "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331_01",
        // Version 00 ends after the flags.
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-010",
        // Version ff is invalid.
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    ] {
        assert_eq!(traced(&[line]), None, "{line:?}");
    }
    assert_eq!(traced(&[]), None, "no header");
    let twice = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    assert_eq!(traced(&[twice, twice]), None, "two lines");
}

#[test]
fn a_later_version_may_add_fields_after_a_dash() {
    for (line, key) in [
        (
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            Some(TRACE),
        ),
        (
            "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-comes-next",
            Some(TRACE),
        ),
        (
            "fe-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
            Some(TRACE),
        ),
        (
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.next",
            None,
        ),
        ("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331", None),
    ] {
        assert_eq!(traced(&[line]), key, "{line:?}");
    }
}

/// A request for this URI, with these `Host` lines.
fn to(uri: &str, hosts: &[&str]) -> Request<()> {
    let mut req = Request::builder().uri(uri).body(()).unwrap();
    for host in hosts {
        let value = HeaderValue::from_str(host).unwrap();
        req.headers_mut().append("host", value);
    }
    req
}

/// Returns whether both requests have a key, and the same one.
fn same(a: &Request<()>, b: &Request<()>) -> bool {
    let state = RandomState::new();
    match (Authority.key(a), Authority.key(b)) {
        (Some(a), Some(b)) => {
            let hashed_alike = state.hash_one(a) == state.hash_one(b);
            assert_eq!(hashed_alike, a == b, "{a:?} {b:?}");
            hashed_alike
        }
        _ => false,
    }
}

#[test]
fn the_authority_of_the_uri_is_the_key() {
    let key = |uri, hosts: &[&str]| {
        let req = to(uri, hosts);
        Authority.key(&req).map(|key| key.to_string())
    };
    for (uri, expected) in [
        ("http://api.example.com/users", "api.example.com:80"),
        ("https://api.example.com/users?x=1", "api.example.com:443"),
        ("https://API.Example.COM:8443/", "api.example.com:8443"),
        ("https://user:pw@api.example.com/", "api.example.com:443"),
        ("http://127.0.0.1:3000/", "127.0.0.1:3000"),
        ("http://[::1]:3000/", "[::1]:3000"),
        ("grpc://backend/", "backend"),
    ] {
        assert_eq!(key(uri, &[]).as_deref(), Some(expected), "{uri}");
        // RFC 9112, section 3.2.2: a `Host` beside an absolute URI is ignored.
        assert_eq!(
            key(uri, &["other.example.com"]).as_deref(),
            Some(expected),
            "{uri}"
        );
    }
}

#[test]
fn without_an_authority_in_the_uri_the_host_header_is_the_key() {
    let key = |hosts: &[&str]| {
        let req = to("/path", hosts);
        Authority.key(&req).map(|key| key.to_string())
    };
    for (host, expected) in [
        ("api.example.com", Some("api.example.com")),
        ("API.example.com:8080", Some("api.example.com:8080")),
        (" api.example.com ", Some("api.example.com")),
        ("api.example.com:", Some("api.example.com")),
        ("[2001:DB8::1]", Some("[2001:db8::1]")),
        ("[2001:db8::1]:80", Some("[2001:db8::1]:80")),
        ("", None),
        (":80", None),
        ("[]", None),
        ("[::1", None),
        ("[::1]80", None),
        ("2001:db8::1", None),
        ("a:b", None),
        ("a:65536", None),
        ("a:+80", None),
        ("a:80:90", None),
        ("user@a", None),
        ("a/b", None),
        ("a b", None),
        ("a,b", None),
    ] {
        assert_eq!(key(&[host]).as_deref(), expected, "{host:?}");
    }
    assert_eq!(key(&[]), None, "no header");
    assert_eq!(key(&["a", "a"]), None, "two lines");
    assert_eq!(key(&[&"a".repeat(256)]), None, "longer than a DNS name");
    assert!(key(&[&"a".repeat(255)]).is_some());
}

#[test]
fn all_spellings_of_a_target_are_one_key() {
    let https = to("https://api.example.com/a", &[]);
    for (other, alike) in [
        (to("https://api.example.com/b", &[]), true),
        (to("https://API.EXAMPLE.COM/", &[]), true),
        (to("https://api.example.com:443/", &[]), true),
        (to("/", &["api.example.com:443"]), true),
        (to("http://api.example.com/", &[]), false),
        (to("https://api.example.com:8443/", &[]), false),
        (to("https://api.example.org/", &[]), false),
        (to("https://xapi.example.com/", &[]), false),
    ] {
        assert_eq!(same(&https, &other), alike, "{other:?}");
    }
    let long = "a".repeat(200);
    let upper = to(&format!("http://{}/", long.to_uppercase()), &[]);
    let shorter = to(&format!("http://{}/", &long[1..]), &[]);
    assert!(same(&to(&format!("http://{long}/"), &[]), &upper));
    assert!(!same(&shorter, &upper));
}

#[test]
fn the_key_of_a_host_can_be_built_by_hand() {
    let req = to("https://API.example.com/", &[]);
    let key = Authority.key(&req).unwrap();
    assert_eq!(key, AuthorityKey::new("api.example.com", 443));
    assert!(key.host().eq_ignore_ascii_case("api.example.com"));
    assert_ne!(key, AuthorityKey::new("api.example.com", None));
    assert_eq!(key.port(), Some(443));
}

proptest! {
    #[test]
    fn arbitrary_lines_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(value) = HeaderValue::from_bytes(&bytes) {
            let mut req = Request::new(());
            req.headers_mut().insert("traceparent", value.clone());
            req.headers_mut().insert("host", value);
            _ = TraceId.key(&req);
            _ = Authority.key(&req).map(|key| key.to_string());
        }
    }

    #[test]
    fn every_trace_id_except_zero_is_read_back(id in 1_u128.., parent in 1_u64.., version in 0_u8..255) {
        let line = format!("{version:02x}-{id:032x}-{parent:016x}-01");
        prop_assert_eq!(traced(&[&line]), Some(id));
    }
}
