//! Addresses: `X-Forwarded-For`, `Forwarded`, headers with one address, and ranges.

use std::net::{IpAddr, SocketAddr};

use http::{
    HeaderMap, HeaderName, HeaderValue, Request,
    header::{Entry, FORWARDED},
};
use plimsoll_core::{
    ClientIp, IpRange,
    key::{InvalidIpRange, PeerAddr},
};

use super::{Input, lines};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
const PROXY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
const STRANGER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 7));

/// Promises of `ClientIp`:
///
/// - The address equals that of a plain reading of the list, or at least occurs in the headers.
/// - Unusable headers are counted.
/// - An entry that a trusted proxy appended is used, whatever is to the left of it.
pub fn client_ip(data: &[u8]) -> bool {
    let input = Input::new(data);
    let peer = if input.knob & 8 == 0 { PROXY } else { STRANGER };
    let mut req = input.request(&[X_FORWARDED_FOR, FORWARDED, X_REAL_IP]);
    req.extensions_mut()
        .insert(PeerAddr(SocketAddr::new(peer, 443)));

    let reader = reader(input.knob % 8).v6_prefix(128);
    let client = reader.client(&req).map(plimsoll_core::key::ClientAddr::ip);
    let own = client.filter(|client| *client != peer);
    if let Some(addr) = own {
        assert!(is_in(req.headers(), addr), "{addr} is in no header");
    }
    assert!(
        client.is_none() || reader.malformed() == 0,
        "{client:?} counts as malformed"
    );
    let line_count = req.headers().len();
    assert!(
        reader.malformed() <= u64::from(line_count > 0),
        "{line_count} headers"
    );
    if peer == STRANGER && reads_peer(input.knob % 8) {
        assert_eq!(
            client,
            Some(STRANGER),
            "trusts headers of an untrusted peer"
        );
    }

    let entries = entries(req.headers());
    let read = |reader: ClientIp| reader.client(&req).map(plimsoll_core::key::ClientAddr::ip);
    let read_128 = |reader: ClientIp| read(reader.v6_prefix(128));
    for hops in 1..4 {
        let expected = entries.get(hops - 1).copied().flatten();
        assert_eq!(read_128(ClientIp::behind(hops)), expected, "{hops} proxies");
    }
    if peer == PROXY && !entries.is_empty() {
        let ranges = ClientIp::behind_ranges(IpRange::PRIVATE);
        assert_eq!(read_128(ranges), walked(&entries), "trusted ranges");
    }
    proxy_wins(&mut req);
    own.is_some()
}

/// The readers under test. Some trust peers by their address.
fn reader(choice: u8) -> ClientIp {
    match choice {
        0 => ClientIp::behind(1),
        1 => ClientIp::behind(2),
        2 => ClientIp::behind(1).forwarded(),
        3 => ClientIp::behind(2).forwarded(),
        4 => ClientIp::behind_ranges(IpRange::PRIVATE),
        5 => ClientIp::behind_ranges(IpRange::PRIVATE).forwarded(),
        6 => ClientIp::trusted_header(X_REAL_IP),
        _ => ClientIp::trusted_header(X_REAL_IP).trusting_peers(IpRange::PRIVATE),
    }
}

const fn reads_peer(choice: u8) -> bool {
    matches!(choice, 4 | 5 | 7)
}

/// Returns the entries of `X-Forwarded-For` from the right, read in the simplest way.
fn entries(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let joined = lines(headers, &X_FORWARDED_FOR).join(&b","[..]);
    if !headers.contains_key(X_FORWARDED_FOR) {
        return Vec::new();
    }
    let entries = joined.rsplit(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    entries
        .map(|entry| {
            let text = std::str::from_utf8(entry)
                .ok()
                .filter(|text| text.len() <= 64)?;
            let socket = text.parse::<SocketAddr>().map(|socket| socket.ip());
            let bare = text
                .strip_prefix('[')
                .and_then(|text| text.strip_suffix(']'));
            let addr = bare.unwrap_or(text).parse().or(socket).ok()?;
            Some(IpAddr::to_canonical(&addr))
        })
        .collect()
}

/// Returns the first of 32 entries outside the private ranges. If there is none, returns the last
/// entry of a shorter chain.
fn walked(entries: &[Option<IpAddr>]) -> Option<IpAddr> {
    let is_trusted = |addr: IpAddr| IpRange::PRIVATE.iter().any(|range| range.contains(addr));
    let mut read = entries.iter().take(32);
    match read.find(|entry| !entry.is_some_and(is_trusted)) {
        Some(client) => *client,
        None => *entries.last().filter(|_| entries.len() <= 32)?,
    }
}

/// Returns whether the address occurs somewhere in the headers.
fn is_in(headers: &HeaderMap, addr: IpAddr) -> bool {
    let outside = |byte: &u8| !byte.is_ascii_hexdigit() && !matches!(byte, b':' | b'.');
    headers.values().any(|line| {
        let line: Vec<u8> = line
            .as_bytes()
            .iter()
            .copied()
            .filter(|byte| *byte != b'\\')
            .collect();
        line.split(outside).any(|word| {
            let text = std::str::from_utf8(word).unwrap_or_default();
            let without_port = text.rsplit_once(':').map_or(text, |(addr, _)| addr);
            [text, without_port]
                .into_iter()
                .filter_map(|text| text.parse::<IpAddr>().ok())
                .any(|found| found.to_canonical() == addr)
        })
    })
}

/// A client can write any header; the one trusted proxy appends the client's address.
fn proxy_wins(req: &mut Request<()>) {
    for (name, appended) in [
        (X_FORWARDED_FOR, "198.51.100.9"),
        (FORWARDED, "for=198.51.100.9"),
        (FORWARDED, "for=\"198.51.100.9:4711\";proto=https"),
    ] {
        let is_list = name == FORWARDED;
        let mut req = req.clone();
        if let Entry::Occupied(mut written) = req.headers_mut().entry(&name) {
            let last = written.iter().next_back().map(HeaderValue::as_bytes);
            let line = [last.unwrap_or_default(), b", ", appended.as_bytes()].concat();
            let line = HeaderValue::from_bytes(&line).expect("both parts are header values");
            if let Some(last) = written.iter_mut().next_back() {
                *last = line;
            }
            for reader in [
                ClientIp::behind(1),
                ClientIp::behind_ranges(IpRange::PRIVATE),
            ] {
                let reader = if is_list { reader.forwarded() } else { reader };
                req.extensions_mut()
                    .insert(PeerAddr(SocketAddr::new(PROXY, 443)));
                let client = reader.client(&req).map(|client| client.ip().to_string());
                assert_eq!(client.as_deref(), Some("198.51.100.9"), "{name}: {req:?}");
            }
        }
    }
}

/// Promises of `IpRange`:
///
/// - A valid range prints as itself and contains its network.
/// - For a range with bits after its prefix, the error names the network that was probably meant.
pub fn ip_range(data: &[u8]) -> bool {
    // One line without settings or names: skip the two bytes in front of it.
    let line = Input::new(data).text.split(|byte| *byte == b'\n').next();
    let line = line.and_then(|line| line.get(1..)).unwrap_or_default();
    let Ok(text) = std::str::from_utf8(line) else {
        return false;
    };
    match text.parse::<IpRange>() {
        Ok(range) => {
            let printed = range.to_string();
            assert_eq!(printed.parse(), Ok(range), "{text:?} prints as {printed}");
            let (network, prefix) = printed.split_once('/').expect("a prefix is printed");
            let network: IpAddr = network.parse().expect("an address is printed");
            assert!(
                range.contains(network),
                "{printed} does not contain its network"
            );
            assert!(
                prefix.parse::<u8>().is_ok_and(|bits| bits <= 128),
                "{printed}"
            );
            true
        }
        Err(InvalidIpRange::HostBits { given, network, .. }) => {
            // Mapped IPv4 addresses count as IPv4, so no IPv6 range contains them.
            let is_mapped = given.is_ipv6() && given.to_canonical().is_ipv4();
            assert!(
                is_mapped || network.contains(given),
                "{network} does not contain {given}"
            );
            false
        }
        Err(_) => false,
    }
}
