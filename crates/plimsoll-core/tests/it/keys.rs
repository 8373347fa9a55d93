//! Keys: how they are read, and what a caller cannot forge.

use std::net::{IpAddr, SocketAddr};

use std::hash::{BuildHasher as _, RandomState};

use http::{HeaderValue, Request};
use plimsoll_core::{
    ApiKey, BearerToken, ClientIp, GateLayer, HeaderKey, Key, Keyed, Kind, Missing, Route,
    key::{PeerAddr, SecretKey},
    test_kit::{KitRequest, Script, request},
};
use proptest::prelude::*;

use crate::sample::{Slots, send_request};

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
        .map(plimsoll_core::key::ClientAddr::ip)
}

fn ip(text: &str) -> Option<IpAddr> {
    text.parse().ok()
}

#[test]
fn the_client_is_the_entry_at_the_number_of_proxies_from_the_right() {
    let forged = &["6.6.6.6, 1.1.1.1, 2.2.2.2"];
    assert_eq!(
        client(0, forged),
        ip("9.9.9.9"),
        "without a proxy the header is not read"
    );
    assert_eq!(client(1, forged), ip("2.2.2.2"));
    assert_eq!(client(2, forged), ip("1.1.1.1"));
    assert_eq!(client(4, forged), None, "fewer entries than proxies");
}

#[test]
fn several_header_lines_form_one_list() {
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
        // The longest text of an address, 64 bytes.
        (
            "[2001:0db8:0000:0000:ffff:ffff:255.255.255.255%4294967295]:65535",
            ip("2001:db8::"),
        ),
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
fn an_ipv6_client_is_keyed_by_its_network() {
    let a = client(1, &["2001:db8:1:2:aaaa::1"]);
    let b = client(1, &["2001:db8:1:2:bbbb::2"]);
    let c = client(1, &["2001:db8:1:3::1"]);
    assert_eq!(a, b);
    assert_ne!(a, c);
    let whole = ClientIp::behind(1).v6_prefix(128);
    assert_eq!(
        whole
            .client(&forwarded(&["2001:db8::1"]))
            .map(plimsoll_core::key::ClientAddr::ip),
        ip("2001:db8::1")
    );
    for more_than_all in [129, 255] {
        let key = ClientIp::behind(1).v6_prefix(more_than_all);
        assert_eq!(
            key.client(&forwarded(&["2001:db8::1"])),
            whole.client(&forwarded(&["2001:db8::1"])),
        );
    }
    let none = ClientIp::behind(1).v6_prefix(0);
    assert_eq!(
        none.client(&forwarded(&["2001:db8::1"]))
            .map(plimsoll_core::key::ClientAddr::ip),
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
fn a_long_header_is_read_only_as_far_as_needed() {
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
    assert_eq!(
        Route::matched().key(&req),
        None,
        "a raw path is not a route"
    );
}

fn with_headers(name: &'static str, values: &[&[u8]]) -> Request<()> {
    let mut req = Request::new(());
    for value in values {
        let value = HeaderValue::from_bytes(value).unwrap();
        req.headers_mut().append(name, value);
    }
    req
}

/// Returns whether two keys would share a cell.
fn same<A: std::hash::Hash, B: std::hash::Hash>(a: A, b: B) -> bool {
    let state = RandomState::new();
    state.hash_one(a) == state.hash_one(b)
}

#[test]
fn an_api_key_is_1_to_4096_bytes_of_any_value() {
    let key = ApiKey::new();
    let read = |bytes: &[u8]| key.key(&with_headers("x-api-key", &[bytes])).is_some();
    for (bytes, usable) in [
        (&b"k"[..], true),
        (b"\xff\xfe not UTF-8", true),
        (&[b'k'; 4096], true),
        (&[b'k'; 4097], false),
        (&vec![b'k'; 1 << 20], false),
        (b"", false),
    ] {
        let before = key.unusable();
        assert_eq!(read(bytes), usable, "{} bytes", bytes.len());
        assert_eq!(key.unusable() - before, u64::from(!usable));
    }
    let other = ApiKey::header(http::HeaderName::from_static("x-token"));
    let req = with_headers("x-token", &[b"\xff"]);
    assert!(same(other.key(&req).unwrap(), SecretKey::api_key(b"\xff")));
    assert!(!same(other.key(&req).unwrap(), SecretKey::api_key(b"\xfe")));
    assert!(key.key(&req).is_none());
    assert_eq!(other.unusable(), 0);
}

#[test]
fn a_request_with_two_api_keys_has_no_key() {
    let key = ApiKey::new();
    let both = with_headers("x-api-key", &[b"mine", b"theirs"]);
    assert!(
        key.key(&both).is_none(),
        "a service further in may check either of them"
    );
    assert_eq!(key.unusable(), 1);
    assert!(key.key(&Request::new(())).is_none());
    assert_eq!(key.unusable(), 1, "a missing key does not count");
}

#[test]
fn the_scheme_of_a_bearer_token_is_case_insensitive() {
    let key = BearerToken::new();
    for line in [
        "Bearer abc.DEF-1_~+/==",
        "bearer abc.DEF-1_~+/==",
        "BEARER   abc.DEF-1_~+/==",
    ] {
        let req = with_headers("authorization", &[line.as_bytes()]);
        let token = key.key(&req).expect(line);
        assert!(same(token, SecretKey::bearer(b"abc.DEF-1_~+/==")), "{line}");
    }
    assert_eq!(key.unusable(), 0);
}

#[test]
fn a_malformed_bearer_token_is_no_key() {
    let long = [&b"Bearer "[..], &vec![b'a'; 1 << 20]].concat();
    let unusable: [&[&[u8]]; 11] = [
        &[b"Bearer"],
        &[b"Bearer "],
        &[b"Bearer ="],
        &[b"Bearer a b"],
        &[b"Bearer a=b"],
        &[b"Bearer a,b"],
        &[b"Bearer \xff"],
        &[b"Bearer \"a\""],
        &[b"Bearer a", b"Bearer b"],
        &[b""],
        &[&long],
    ];
    for lines in unusable {
        let key = BearerToken::new();
        assert!(key.key(&with_headers("authorization", lines)).is_none());
        assert_eq!(key.unusable(), 1, "{:?}", lines[0].get(..20));
    }
    for other in ["Basic dTpw", "BearerX a", "Bear", "Digest x=y"] {
        let key = BearerToken::new();
        let req = with_headers("authorization", &[other.as_bytes()]);
        assert!(key.key(&req).is_none());
        assert_eq!(key.unusable(), 0, "{other} has another scheme");
    }
}

#[test]
fn secrets_of_different_kinds_are_different_keys() {
    assert!(!same(SecretKey::api_key(b"x"), SecretKey::bearer(b"x")));
    assert!(!same(SecretKey::api_key(b"x"), b"x".as_slice()));
    assert!(same(SecretKey::api_key(b"x"), SecretKey::api_key(b"x")));
}

#[test]
fn a_repeated_header_is_no_key() {
    let key = HeaderKey::from_static("x-key");
    for lines in [[b"mine", b"them"], [b"same", b"same"]] {
        let req = with_headers("x-key", &lines.map(|line| &line[..]));
        assert_eq!(key.key(&req), None);
    }
}

#[test]
fn an_empty_or_oversized_header_is_no_key() {
    let key = HeaderKey::from_static("x-key");
    for (len, usable) in [
        (0, false),
        (1, true),
        (4096, true),
        (4097, false),
        (1 << 20, false),
    ] {
        let req = with_headers("x-key", &[&vec![b'k'; len]]);
        assert_eq!(key.key(&req).is_some(), usable, "{len} bytes");
    }
}

/// A limit of one request at a time per key.
fn one_each<K: Key<KitRequest>>(key: K) -> GateLayer<Keyed<K, Slots>> {
    let missing = Missing::Reject(Kind::OverQuota);
    GateLayer::new(Keyed::new(key, missing, 512, || Slots::new(1)).unwrap())
}

/// Returns the statuses of requests that are sent while the earlier ones still run.
async fn statuses<K: Key<KitRequest> + 'static>(
    layer: &GateLayer<Keyed<K, Slots>>,
    requests: impl IntoIterator<Item = KitRequest>,
) -> Vec<u16> {
    let mut running = Vec::new();
    for req in requests {
        running.push(send_request(layer, req).await.unwrap());
    }
    running
        .iter()
        .map(|response| response.status().as_u16())
        .collect()
}

fn endless(header: &'static str, value: &[u8]) -> KitRequest {
    let mut req = request(Script::EndlessBody);
    let value = HeaderValue::from_bytes(value).unwrap();
    req.headers_mut().insert(header, value);
    req
}

#[tokio::test(start_paused = true)]
async fn a_secret_is_never_printed() {
    const SECRET: &str = "sk_live_51Habcdef";
    const TOKEN: &str = "Bearer sk_live_51Habcdef";
    let shown = |text: &str| text.contains("sk_live") || text.contains("115, 107, 95");

    let layer = one_each(ApiKey::new());
    let first = send_request(&layer, endless("x-api-key", SECRET.as_bytes()))
        .await
        .unwrap();
    let second = send_request(&layer, endless("x-api-key", SECRET.as_bytes()))
        .await
        .unwrap();
    assert_eq!(
        (first.status().as_u16(), second.status().as_u16()),
        (200, 503)
    );
    let handle = layer.policy().handle();
    let in_flight = handle.with_cell(SecretKey::api_key(SECRET.as_bytes()), Slots::in_flight);
    assert_eq!(
        in_flight,
        Some(1),
        "a caller that has the key can read its cell"
    );
    let printed = format!("{:?} {handle:?} {first:?} {second:?}", layer.policy());
    assert!(!shown(&printed), "{printed}");

    let layer = one_each(BearerToken::new());
    let rejected = send_request(&layer, endless("authorization", b"Bearer sk live"))
        .await
        .unwrap();
    let _running = send_request(&layer, endless("authorization", TOKEN.as_bytes()))
        .await
        .unwrap();
    let second = send_request(&layer, endless("authorization", TOKEN.as_bytes()))
        .await
        .unwrap();
    assert_eq!(
        (rejected.status().as_u16(), second.status().as_u16()),
        (429, 503)
    );
    let printed = format!(
        "{:?} {:?} {second:?}",
        layer.policy(),
        layer.policy().handle()
    );
    assert!(!shown(&printed), "{printed}");

    let secret = SecretKey::api_key(SECRET.as_bytes());
    assert_eq!(
        format!("{secret:?} {:#?}", Some(secret)),
        "SecretKey(..) Some(\n    SecretKey(..),\n)"
    );
}

#[tokio::test(start_paused = true)]
async fn unusual_api_keys_are_counted_and_limited() {
    let layer = one_each(ApiKey::new());
    let megabyte = vec![b'k'; 1 << 20];
    let requests = [&b"\xc3\x28"[..], b"\xc3\x28", b"", &megabyte, b"plain"];
    let statuses = statuses(&layer, requests.map(|key| endless("x-api-key", key))).await;
    assert_eq!(statuses, [200, 503, 429, 429, 200]);
    let handle = layer.policy().handle();
    assert_eq!((handle.keys(), handle.missing()), (2, 2));
}

/// A request from the peer 9.9.9.9 with this `X-Forwarded-For`.
fn forwarded_kit(line: &str) -> KitRequest {
    let mut req = endless("x-forwarded-for", line.as_bytes());
    req.extensions_mut()
        .insert(PeerAddr(SocketAddr::from(([9, 9, 9, 9], 1))));
    req
}

#[tokio::test(start_paused = true)]
async fn a_client_that_forges_the_header_stays_in_one_cell() {
    // The forged entries, then those of the trusted proxies: 1.1.1.1 is the client, 2.2.2.2 the
    // first proxy.
    for (proxies, written) in [(0, ""), (1, ", 1.1.1.1"), (2, ", 1.1.1.1, 2.2.2.2")] {
        let layer = one_each(ClientIp::behind(proxies));
        let forged = (0..50).map(|n| forwarded_kit(&format!("6.6.6.{n}, 7.7.7.{n}{written}")));
        let statuses = statuses(&layer, forged).await;
        assert_eq!(statuses[0], 200);
        assert!(
            statuses[1..].iter().all(|status| *status == 503),
            "{proxies} proxies: {statuses:?}"
        );
        assert_eq!(layer.policy().handle().keys(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn rotating_through_an_ipv6_network_gets_one_cell() {
    let layer = one_each(ClientIp::behind(1));
    let inside = (0..200_u64).map(|n| {
        let host = n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
        let [a, b, c, d] = [0, 2, 4, 6].map(|i| u16::from_be_bytes([host[i], host[i + 1]]));
        forwarded_kit(&format!("2001:db8:1:2:{a:x}:{b:x}:{c:x}:{d:x}"))
    });
    let inside = statuses(&layer, inside).await;
    assert_eq!(inside.iter().filter(|status| **status == 200).count(), 1);
    let handle = layer.policy().handle();
    assert_eq!(handle.keys(), 1);
    let neighbour = forwarded_kit("2001:db8:1:3::1");
    assert_eq!(statuses(&layer, [neighbour]).await, [200]);
    assert_eq!(handle.keys(), 2);
}

proptest! {
    #[test]
    fn arbitrary_credentials_never_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..60),
        scheme in proptest::bool::ANY,
    ) {
        let bytes = [if scheme { &b"Bearer "[..] } else { b"" }, &bytes].concat();
        if let Ok(value) = HeaderValue::from_bytes(&bytes) {
            let mut req = Request::new(());
            req.headers_mut().insert("authorization", value.clone());
            req.headers_mut().insert("x-api-key", value);
            _ = BearerToken::new().key(&req);
            prop_assert_eq!(ApiKey::new().key(&req).is_some(), !bytes.is_empty());
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(
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
    fn a_client_cannot_change_its_key(
        forged in "[0-9a-f.:, ]{0,60}",
        client_octet in 1_u8..255,
    ) {
        // The one trusted proxy appends the client's address.
        let seen = format!("10.0.0.{client_octet}");
        let line = if forged.is_empty() { seen.clone() } else { format!("{forged}, {seen}") };
        prop_assert_eq!(client(1, &[&line]), ip(&seen));
    }
}
