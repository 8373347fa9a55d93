//! Keys: whose request it is, and what a caller cannot forge.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderValue, Request};
use plimsoll_core::{ClientIp, HeaderKey, Key as _, PeerAddr, Route};
use proptest::prelude::*;

fn forwarded(lines: &[&str]) -> Request<()> {
    let mut req = Request::new(());
    for line in lines {
        req.headers_mut()
            .append("x-forwarded-for", HeaderValue::from_str(line).unwrap());
    }
    req.extensions_mut()
        .insert(PeerAddr(SocketAddr::from(([9, 9, 9, 9], 1))));
    req
}

fn client(proxies: usize, lines: &[&str]) -> Option<IpAddr> {
    ClientIp::behind(proxies)
        .client(&forwarded(lines))
        .map(plimsoll_core::ClientAddr::ip)
}

fn ip(text: &str) -> Option<IpAddr> {
    text.parse().ok()
}

#[test]
fn entries_are_counted_from_the_right() {
    let forged = &["6.6.6.6, 1.1.1.1, 2.2.2.2"];
    assert_eq!(
        client(0, forged),
        ip("9.9.9.9"),
        "no proxy: the header is not read"
    );
    assert_eq!(client(1, forged), ip("2.2.2.2"));
    assert_eq!(client(2, forged), ip("1.1.1.1"));
    assert_eq!(
        client(4, forged),
        None,
        "shorter than the proxies that must have written it"
    );
}

#[test]
fn header_lines_are_one_list() {
    assert_eq!(client(2, &["6.6.6.6", "1.1.1.1", "2.2.2.2"]), ip("1.1.1.1"));
    assert_eq!(client(3, &["3.3.3.3, 1.1.1.1", "2.2.2.2"]), ip("3.3.3.3"));
}

#[test]
fn ports_and_brackets_are_read() {
    for (entry, addr) in [
        ("1.2.3.4:567", ip("1.2.3.4")),
        ("[2001:db8::1]:443", ip("2001:db8::")),
        ("[2001:db8::1]", ip("2001:db8::")),
        (" 2001:db8::1 ", ip("2001:db8::")),
        ("::ffff:1.2.3.4", ip("1.2.3.4")),
        ("unknown", None),
        ("_hidden", None),
        ("", None),
        ("1.2.3", None),
    ] {
        assert_eq!(client(1, &[entry]), addr, "{entry:?}");
    }
}

#[test]
fn an_ipv6_client_is_its_network() {
    let a = client(1, &["2001:db8:1:2:aaaa::1"]);
    let b = client(1, &["2001:db8:1:2:bbbb::2"]);
    let c = client(1, &["2001:db8:1:3::1"]);
    assert_eq!(a, b);
    assert_ne!(a, c);
    let whole = ClientIp::behind(1).v6_prefix(128);
    assert_eq!(
        whole
            .client(&forwarded(&["2001:db8::1"]))
            .map(plimsoll_core::ClientAddr::ip),
        ip("2001:db8::1")
    );
    let none = ClientIp::behind(1).v6_prefix(0);
    assert_eq!(
        none.client(&forwarded(&["2001:db8::1"]))
            .map(plimsoll_core::ClientAddr::ip),
        ip("::")
    );
}

#[test]
fn unusable_headers_are_counted_and_missing_ones_are_not() {
    let key = ClientIp::behind(1);
    assert_eq!(key.client(&forwarded(&[])), None);
    assert_eq!(key.malformed(), 0);
    assert_eq!(key.client(&forwarded(&["garbage"])), None);
    assert_eq!(key.malformed(), 1);
}

#[test]
fn a_long_header_is_read_no_further_than_the_entry_that_counts() {
    let long = format!("{}7.7.7.7", "6.6.6.6,".repeat(100_000));
    assert_eq!(client(1, &[&long]), ip("7.7.7.7"));
    let endless_entry = "1".repeat(1 << 20);
    assert_eq!(client(1, &[&endless_entry]), None);
}

#[test]
fn headers_and_routes_are_keys() {
    let req = Request::builder()
        .uri("/pkg.Greeter/Hello")
        .header("x-key", "k")
        .body(())
        .unwrap();
    assert_eq!(
        HeaderKey::from_static("x-key").key(&req),
        Some(b"k".as_slice())
    );
    assert_eq!(HeaderKey::from_static("x-other").key(&req), None);
    assert_eq!(Route::grpc().key(&req), Some("/pkg.Greeter/Hello"));
    assert_eq!(Route::matched().key(&req), None, "a raw path is no route");
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_never_a_panic(
        lines in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 0..5),
        proxies in 0_usize..6,
    ) {
        let mut req = Request::new(());
        for line in lines {
            if let Ok(value) = HeaderValue::from_bytes(&line) {
                req.headers_mut().append("x-forwarded-for", value);
            }
        }
        _ = ClientIp::behind(proxies).client(&req);
    }

    #[test]
    fn nothing_a_client_writes_changes_its_key(
        forged in "[0-9a-f.:, ]{0,60}",
        client_octet in 1_u8..255,
    ) {
        // The one trusted proxy appends the address it saw.
        let seen = format!("10.0.0.{client_octet}");
        let line = if forged.is_empty() { seen.clone() } else { format!("{forged}, {seen}") };
        prop_assert_eq!(client(1, &[&line]), ip(&seen));
    }
}
