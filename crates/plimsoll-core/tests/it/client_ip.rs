//! `ClientIp` behind proxies: which headers of which peers are trusted, and what a client cannot
//! forge.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderName, HeaderValue, Request};
use plimsoll_core::{
    ClientIp, IpRange,
    key::{ClientAddr, InvalidIpRange, PeerAddr},
};
use proptest::prelude::*;

const FORWARDED: &str = "forwarded";
const X_FORWARDED_FOR: &str = "x-forwarded-for";
const CLOUDFLARE: &str = "cf-connecting-ip";

fn ip(text: &str) -> Option<IpAddr> {
    text.parse().ok()
}

fn ranges(texts: &[&str]) -> Vec<IpRange> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// A request from `peer` with these header lines.
fn request(peer: &str, lines: &[(&str, &str)]) -> Request<()> {
    let mut req = Request::new(());
    for (name, value) in lines {
        let name: HeaderName = name.parse().unwrap();
        req.headers_mut()
            .append(name, HeaderValue::from_str(value).unwrap());
    }
    let peer = SocketAddr::new(peer.parse().unwrap(), 1);
    req.extensions_mut().insert(PeerAddr(peer));
    req
}

fn client(key: &ClientIp, peer: &str, lines: &[(&str, &str)]) -> Option<IpAddr> {
    key.client(&request(peer, lines)).map(ClientAddr::ip)
}

/// Returns the client behind one proxy, from this value of `Forwarded`.
fn forwarded(value: &str) -> Option<IpAddr> {
    let key = ClientIp::behind(1).forwarded();
    client(&key, "9.9.9.9", &[(FORWARDED, value)])
}

#[test]
fn the_examples_of_rfc_7239_are_read() {
    for (value, addr) in [
        ("for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60"),
        ("For=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::"),
        ("for=192.0.2.43, for=198.51.100.17", "198.51.100.17"),
        ("for=\"192.0.2.43:47011\"", "192.0.2.43"),
        ("proto=https ; FOR=192.0.2.1", "192.0.2.1"),
        ("for=192.0.2.1;host=\"a,b;for=6.6.6.6\"", "192.0.2.1"),
        ("host=\"a\\\",b\";for=192.0.2.1", "192.0.2.1"),
        ("for=\"192.0.2.1:_port\"", "192.0.2.1"),
        ("for=\"[2001:db8::1]:_port\"", "2001:db8::"),
        ("for=\"1\\92.0.2.1\"", "192.0.2.1"),
    ] {
        assert_eq!(forwarded(value), ip(addr), "{value}");
    }
}

#[test]
fn an_element_without_one_readable_address_is_no_key() {
    for value in [
        "",
        "for=unknown",
        "for=_hidden",
        "for=\"_SEVKISEK\"",
        "by=203.0.113.43",
        "for=192.0.2.1;for=192.0.2.2",
        "for=\"192.0.2.1",
        "for=192.0.2.1\"",
        "for=\"192.0.2.1\\\"",
        "for=192.0.2.1,",
        "for",
        "for=",
        "xfor=192.0.2.1",
    ] {
        let key = ClientIp::behind(1).forwarded();
        let req = request("9.9.9.9", &[(FORWARDED, value)]);
        assert_eq!(key.client(&req), None, "{value}");
        assert_eq!(key.malformed(), 1, "{value}");
    }
}

#[test]
fn an_open_quote_of_the_client_hides_no_entry_of_a_proxy() {
    for forged in [
        "for=\"",
        "\"",
        "for=6.6.6.6, \"",
        "for=\"\\\"",
        "\\",
        "a=\"b\\",
    ] {
        let line = format!("{forged}, for=192.0.2.1");
        assert_eq!(forwarded(&line), ip("192.0.2.1"), "{line}");
        // As a separate line.
        let key = ClientIp::behind(1).forwarded();
        let lines = [(FORWARDED, forged), (FORWARDED, "for=\"192.0.2.1:1\"")];
        assert_eq!(client(&key, "9.9.9.9", &lines), ip("192.0.2.1"), "{forged}");
    }
}

#[test]
fn only_the_chosen_header_is_read() {
    let both = [(FORWARDED, "for=192.0.2.1"), (X_FORWARDED_FOR, "192.0.2.2")];
    let behind = ClientIp::behind(1);
    assert_eq!(client(&behind, "9.9.9.9", &both), ip("192.0.2.2"));
    let forwarded = ClientIp::behind(1).forwarded();
    assert_eq!(client(&forwarded, "9.9.9.9", &both), ip("192.0.2.1"));
    assert_eq!(client(&forwarded, "9.9.9.9", &both[1..]), None);
    assert_eq!(forwarded.malformed(), 0, "absent is not malformed");
    let peer = ClientIp::peer().forwarded();
    assert_eq!(client(&peer, "9.9.9.9", &both), ip("9.9.9.9"), "no proxy");
}

#[test]
fn the_client_is_the_last_entry_that_is_not_a_trusted_proxy() {
    let trusted = || ranges(&["10.0.0.0/8", "2001:db8:f::/48"]);
    for (peer, entries, addr) in [
        ("10.0.0.1", &["6.6.6.6, 192.0.2.1"][..], "192.0.2.1"),
        ("10.0.0.1", &["6.6.6.6, 192.0.2.1, 10.9.9.9"], "192.0.2.1"),
        ("10.0.0.1", &["6.6.6.6, 192.0.2.1", "10.9.9.9"], "192.0.2.1"),
        ("2001:db8:f::1", &["192.0.2.1,2001:db8:f::2"], "192.0.2.1"),
        (
            "::ffff:10.0.0.1",
            &["192.0.2.1, ::ffff:10.0.0.2"],
            "192.0.2.1",
        ),
        // An untrusted peer that bypasses the proxies is itself the client.
        ("192.0.2.9", &["6.6.6.6"], "192.0.2.9"),
        ("192.0.2.9", &["6.6.6.6, 10.0.0.1"], "192.0.2.9"),
        // Callers inside the trusted ranges.
        ("10.0.0.1", &["10.0.0.7, 10.0.0.8"], "10.0.0.7"),
        ("10.0.0.1", &[], "10.0.0.1"),
    ] {
        let key = ClientIp::behind_ranges(trusted());
        let lines: Vec<_> = entries
            .iter()
            .map(|line| (X_FORWARDED_FOR, *line))
            .collect();
        assert_eq!(client(&key, peer, &lines), ip(addr), "{peer} {entries:?}");

        let rfc: Vec<_> = entries
            .iter()
            .map(|line| {
                let nodes = line
                    .split(',')
                    .map(|node| format!("for=\"{}\"", node.trim()));
                nodes.collect::<Vec<_>>().join(", ")
            })
            .collect();
        let lines: Vec<_> = rfc.iter().map(|line| (FORWARDED, line.as_str())).collect();
        let key = ClientIp::behind_ranges(trusted()).forwarded();
        assert_eq!(client(&key, peer, &lines), ip(addr), "{peer} {rfc:?}");
    }
}

#[test]
fn an_unreadable_entry_ends_the_walk_without_a_key() {
    let key = ClientIp::behind_ranges(ranges(&["10.0.0.0/8"]));
    for (n, line) in ["6.6.6.6, unknown, 10.0.0.2", "", "x"].iter().enumerate() {
        let lines = [(X_FORWARDED_FOR, *line)];
        assert_eq!(client(&key, "10.0.0.1", &lines), None, "{line:?}");
        assert_eq!(key.malformed(), n as u64 + 1);
    }
}

#[test]
fn a_walk_past_trusted_proxies_is_bounded() {
    let key = ClientIp::behind_ranges(ranges(&["10.0.0.0/8"]));
    let chain = |proxies| format!("192.0.2.1{}", ",10.0.0.2".repeat(proxies));
    let walk = |line: &str| client(&key, "10.0.0.1", &[(X_FORWARDED_FOR, line)]);
    assert_eq!(walk(&chain(31)), ip("192.0.2.1"));
    assert_eq!(key.malformed(), 0);
    assert_eq!(walk(&chain(32)), None);
    assert_eq!(key.malformed(), 1);
}

#[test]
fn a_named_header_holds_one_address_of_a_trusted_peer() {
    let key = || ClientIp::trusted_header(HeaderName::from_static(CLOUDFLARE));
    let name = CLOUDFLARE;
    let one = [(name, "192.0.2.1")];
    assert_eq!(client(&key(), "9.9.9.9", &one), ip("192.0.2.1"));
    let v6 = [(name, "2001:db8:1:2:3::4")];
    assert_eq!(client(&key(), "9.9.9.9", &v6), ip("2001:db8:1:2::"));
    for unusable in [
        &[(name, "192.0.2.1"), (name, "192.0.2.2")][..],
        &[(name, "192.0.2.1, 192.0.2.2")],
        &[(name, "")],
        &[(name, "localhost")],
    ] {
        let key = key();
        assert_eq!(client(&key, "9.9.9.9", unusable), None, "{unusable:?}");
        assert_eq!(key.malformed(), 1, "{unusable:?}");
    }
    let absent = key();
    assert_eq!(client(&absent, "9.9.9.9", &[]), None);
    assert_eq!(absent.malformed(), 0);
}

#[test]
fn headers_of_untrusted_peers_are_ignored() {
    let cdn = ranges(&["173.245.48.0/20"]);
    let lines = [(CLOUDFLARE, "192.0.2.1"), (X_FORWARDED_FOR, "192.0.2.2")];
    let named =
        ClientIp::trusted_header(HeaderName::from_static(CLOUDFLARE)).trusting_peers(cdn.clone());
    assert_eq!(client(&named, "173.245.48.7", &lines), ip("192.0.2.1"));
    assert_eq!(client(&named, "6.6.6.6", &lines), ip("6.6.6.6"));
    let hops = ClientIp::behind(1).trusting_peers(cdn);
    assert_eq!(client(&hops, "173.245.48.7", &lines), ip("192.0.2.2"));
    assert_eq!(client(&hops, "6.6.6.6", &lines), ip("6.6.6.6"));

    let mut unknown_peer = request("6.6.6.6", &lines);
    unknown_peer.extensions_mut().clear();
    assert_eq!(named.client(&unknown_peer), None, "the peer is unknown");
}

#[test]
fn ranges_are_parsed_and_errors_name_the_cause() {
    for (text, shown) in [
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("192.0.2.1", "192.0.2.1/32"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("::1", "::1/128"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::ffff:192.0.2.1", "192.0.2.1/32"),
        ("::/0", "::/0"),
        ("::/96", "::/96"),
    ] {
        assert_eq!(text.parse::<IpRange>().unwrap().to_string(), shown);
    }
    for (text, error) in [
        (
            "10.0.0.0/33",
            "prefix of a range in 10.0.0.0 must be at most 32, got 33",
        ),
        (
            "::/129",
            "prefix of a range in :: must be at most 128, got 129",
        ),
        (
            "10.0.0.1/8",
            "range must be zero after its prefix, got 10.0.0.1/8; the network is 10.0.0.0/8",
        ),
        (
            "10.0.0/8",
            "range must be like 10.0.0.0/8 or 2001:db8::/32, got \"10.0.0/8\"",
        ),
    ] {
        assert_eq!(text.parse::<IpRange>().unwrap_err().to_string(), error);
    }
    for text in [
        "",
        "/",
        "10.0.0.0/",
        "10.0.0.0/+8",
        "10.0.0.0/-1",
        "10.0.0.0/256",
        "/8",
        "x/8",
    ] {
        let malformed = InvalidIpRange::Malformed(text.to_owned());
        assert_eq!(text.parse::<IpRange>(), Err(malformed));
    }
}

#[test]
fn private_ranges_contain_private_addresses() {
    let private = |text: &str| {
        let addr = text.parse().unwrap();
        IpRange::PRIVATE.iter().any(|range| range.contains(addr))
    };
    for inside in [
        "127.0.0.1",
        "10.255.0.1",
        "172.31.255.255",
        "192.168.0.1",
        "169.254.1.1",
        "::1",
        "fd00::1",
        "fe80::1",
        "::ffff:10.0.0.1",
    ] {
        assert!(private(inside), "{inside}");
    }
    for outside in [
        "172.32.0.1",
        "11.0.0.1",
        "192.169.0.1",
        "::2",
        "2001:db8::1",
        "ff02::1",
    ] {
        assert!(!private(outside), "{outside}");
    }
    for range in IpRange::PRIVATE {
        assert_eq!(range.to_string().parse(), Ok(range));
    }
}

/// The bits of an address as text: a slow but simple model of a prefix.
fn binary(addr: IpAddr) -> String {
    match addr {
        IpAddr::V4(v4) => format!("{:032b}", v4.to_bits()),
        IpAddr::V6(v6) => format!("{:0128b}", v6.to_bits()),
    }
}

/// Splits at separators outside quoted strings, from the left, as the grammar of RFC 7239 does.
fn split_unquoted(text: &str, separator: char) -> Vec<String> {
    let (mut pieces, mut quoted, mut escaped) = (vec![String::new()], false, false);
    for letter in text.chars() {
        if letter == separator && !quoted {
            pieces.push(String::new());
            continue;
        }
        quoted ^= letter == '"' && !escaped;
        escaped = quoted && letter == '\\' && !escaped;
        pieces.last_mut().unwrap().push(letter);
    }
    pieces
}

/// A model of the `nth` entry of `Forwarded` from the right.
fn model(line: &str, nth: usize) -> Option<IpAddr> {
    let elements = split_unquoted(line, ',');
    let element = elements.iter().rev().nth(nth)?;
    let values: Vec<_> = split_unquoted(element, ';')
        .iter()
        .filter_map(|pair| {
            pair.split_once('=')
                .map(|(k, v)| (k.trim().to_lowercase(), v.trim().to_owned()))
        })
        .filter_map(|(name, value)| (name == "for").then_some(value))
        .collect();
    let [value] = values.as_slice() else {
        return None;
    };
    let text = value.trim_matches('"').replace('\\', "");
    let bare = text.trim_start_matches('[');
    match bare.split_once(']') {
        Some((addr, _)) => addr.parse().ok(),
        None => bare.split(':').next()?.parse().ok(),
    }
}

/// Elements that follow the grammar: some with an address, some with quoted separators.
fn element() -> impl Strategy<Value = String> {
    let node = prop_oneof![
        any::<[u8; 4]>().prop_map(|[a, b, c, d]| format!("{a}.{b}.{c}.{d}")),
        any::<[u8; 4]>().prop_map(|[a, b, c, d]| format!("\"{a}.{b}.{c}.{d}:80\"")),
        any::<u128>().prop_map(|bits| format!("\"[{}]\"", std::net::Ipv6Addr::from_bits(bits))),
        any::<u16>().prop_map(|n| format!("\"[2001:db8::{n:x}]:_p\"")),
        Just("unknown".to_owned()),
        Just("_hidden".to_owned()),
    ];
    let other = prop_oneof![
        Just(String::new()),
        "(;|; )proto=https?",
        "; ?host=\"([a-z,;= ]|\\\\[\"a,]){0,8}\"",
    ];
    (node, other, "(for|For|FOR)").prop_map(|(node, other, name)| format!("{name}={node}{other}"))
}

proptest! {
    #[test]
    fn forwarded_agrees_with_a_reader_from_the_left(
        elements in proptest::collection::vec(element(), 1..6),
        hops in 1_usize..7,
    ) {
        let line = elements.join(", ");
        let key = ClientIp::behind(hops).forwarded().v6_prefix(128);
        let read = client(&key, "9.9.9.9", &[(FORWARDED, &line)]);
        prop_assert_eq!(read, model(&line, hops - 1).map(|addr| addr.to_canonical()), "{}", line);
    }

    #[test]
    fn a_client_cannot_change_the_entry_of_its_proxy(
        forged in "[a-z0-9=;,:.\\\\\" \\[\\]]{0,60}",
        own_line in any::<bool>(),
        last in any::<u8>(),
    ) {
        let seen = format!("192.0.2.{last}");
        for (name, wrote, key) in [
            (FORWARDED, format!("for={seen};proto=https"), ClientIp::behind(1).forwarded()),
            (FORWARDED, format!("host=\"a,b\";for=\"{seen}:80\""), ClientIp::behind(1).forwarded()),
            (X_FORWARDED_FOR, seen.clone(), ClientIp::behind(1)),
            (X_FORWARDED_FOR, seen.clone(), ClientIp::behind_ranges(ranges(&["9.0.0.0/8"]))),
        ] {
            let joined = format!("{forged}, {wrote}");
            let read = if own_line {
                client(&key, "9.9.9.9", &[(name, &forged), (name, &wrote)])
            } else {
                client(&key, "9.9.9.9", &[(name, &joined)])
            };
            prop_assert_eq!(read, ip(&seen), "{}", joined);
        }
    }

    #[test]
    fn arbitrary_headers_never_panic(
        lines in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 0..4),
        hops in 1_usize..6,
    ) {
        let mut req = request("9.9.9.9", &[]);
        for line in lines {
            if let Ok(value) = HeaderValue::from_bytes(&line) {
                for name in [FORWARDED, X_FORWARDED_FOR, CLOUDFLARE] {
                    req.headers_mut().append(name.parse::<HeaderName>().unwrap(), value.clone());
                }
            }
        }
        let everything = || ranges(&["0.0.0.0/0"]);
        for key in [
            ClientIp::behind(hops),
            ClientIp::behind(hops).forwarded(),
            ClientIp::behind_ranges(everything()),
            ClientIp::behind_ranges(everything()).forwarded(),
            ClientIp::trusted_header(HeaderName::from_static(CLOUDFLARE)),
        ] {
            _ = key.client(&req);
        }
    }

    #[test]
    fn a_range_contains_the_addresses_with_its_first_bits(
        network in any::<u128>(), other in any::<u128>(), same in 0_u32..129, prefix in 0_u8..129,
        v4 in any::<bool>(),
    ) {
        // Random addresses share no prefix, so `other` gets the first bits of the network.
        let keep = u128::MAX.checked_shl(128 - same).unwrap_or(0);
        let (network, other, prefix): (IpAddr, IpAddr, u8) = if v4 {
            let low = |bits: u128| IpAddr::V4(((bits >> 96) as u32).into());
            (low(network), low(network & keep | other & !keep), prefix % 33)
        } else {
            let all = |bits: u128| IpAddr::V6(bits.into());
            (all(network), all(network & keep | other & !keep), prefix)
        };
        let (bits, others) = (binary(network), binary(other));
        let cut = usize::from(prefix);
        match IpRange::new(network, prefix) {
            Err(InvalidIpRange::HostBits { network: range, .. }) => {
                prop_assert!(bits[cut..].contains('1'));
                prop_assert!(range.contains(network));
                prop_assert_eq!(range.contains(other), bits[..cut] == others[..cut]);
            }
            Ok(range) => {
                prop_assert!(!bits[cut..].contains('1'));
                prop_assert_eq!(range.contains(other), bits[..cut] == others[..cut]);
            }
            Err(error) => prop_assert!(false, "{error}"),
        }
    }

    #[test]
    fn arbitrary_ranges_never_panic(text in "[0-9a-f.:/]{0,24}|\\PC{0,16}") {
        if let Ok(range) = text.parse::<IpRange>() {
            prop_assert_eq!(range.to_string().parse(), Ok(range));
        }
    }
}
