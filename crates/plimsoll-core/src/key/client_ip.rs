//! The client's address, behind a stated number of proxies.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::{HeaderName, Request};

use super::Key;
use crate::count::Counter;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The peer's address, for servers that are neither axum's nor tonic's: put it into the request's extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerAddr(pub SocketAddr);

/// A client as a key: an IPv4 address, or the network of an IPv6 address. Mapped IPv4 addresses are IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientAddr(IpAddr);

impl ClientAddr {
    /// The key of an address, with IPv6 cut to its first `v6_prefix` bits.
    fn new(addr: IpAddr, v6_prefix: u8) -> Self {
        Self(match addr.to_canonical() {
            IpAddr::V4(v4) => IpAddr::V4(v4),
            IpAddr::V6(v6) => {
                let mask = u128::MAX
                    .checked_shl(128 - u32::from(v6_prefix))
                    .unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & mask))
            }
        })
    }

    /// The address, cut to the network.
    pub const fn ip(self) -> IpAddr {
        self.0
    }
}

/// The client's IP address, behind a stated number of trusted proxies.
///
/// Each proxy appends the address it was called from to `X-Forwarded-For`, so only the entries that trusted
/// proxies wrote can be believed, and those are counted from the right: behind one proxy the last entry is the
/// client, behind two the last but one. What stands to the left of it is the client's own invention. With no proxy
/// the header is not read at all.
///
/// IPv6 addresses are grouped by /64, since that is what one client owns.
///
/// The peer's address is taken from [`PeerAddr`], axum's `ConnectInfo<SocketAddr>` (feature `axum`; serve with
/// `into_make_service_with_connect_info::<SocketAddr>()`) or tonic's `TcpConnectInfo` (feature `tonic`).
///
/// A header that is too short, or unreadable at the entry that counts, is no key, and counts in
/// [`malformed`](ClientIp::malformed).
#[derive(Debug)]
pub struct ClientIp {
    trusted_proxies: usize,
    v6_prefix: u8,
    malformed: Counter,
}

impl ClientIp {
    /// The address of the peer: no proxy in front.
    pub const fn peer() -> Self {
        Self::behind(0)
    }

    /// The client behind this many trusted proxies, the one that calls this server included.
    pub const fn behind(trusted_proxies: usize) -> Self {
        Self {
            trusted_proxies,
            v6_prefix: 64,
            malformed: Counter::new(),
        }
    }

    /// Groups IPv6 clients by this many leading bits; more than 128 is 128.
    #[must_use]
    pub const fn v6_prefix(mut self, bits: u8) -> Self {
        self.v6_prefix = if bits > 128 { 128 } else { bits };
        self
    }

    /// How many requests had an `X-Forwarded-For` that could not be used.
    pub fn malformed(&self) -> u64 {
        self.malformed.get()
    }

    /// The client of this request.
    pub fn client<B>(&self, req: &Request<B>) -> Option<ClientAddr> {
        let addr = if self.trusted_proxies == 0 {
            peer_addr(req)?.ip()
        } else {
            self.forwarded_for(req)?
        };
        Some(ClientAddr::new(addr, self.v6_prefix))
    }

    /// The entry that the outermost trusted proxy wrote. Reads no further left than that, however long the header.
    fn forwarded_for<B>(&self, req: &Request<B>) -> Option<IpAddr> {
        let lines = req.headers().get_all(X_FORWARDED_FOR);
        let entry = lines
            .iter()
            .rev()
            .flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','))
            .nth(self.trusted_proxies - 1);
        let addr = entry.and_then(parse_entry);
        if addr.is_none() && lines.iter().next().is_some() {
            self.malformed.add();
        }
        addr
    }
}

/// An address, with or without a port: `1.2.3.4`, `1.2.3.4:56`, `::1`, `[::1]`, `[::1]:56`.
fn parse_entry(entry: &[u8]) -> Option<IpAddr> {
    let entry = entry.trim_ascii();
    if entry.len() > 64 {
        return None;
    }
    let text = std::str::from_utf8(entry).ok()?;
    let unbracketed = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    unbracketed
        .unwrap_or(text)
        .parse()
        .ok()
        .or_else(|| text.parse().ok().map(|socket: SocketAddr| socket.ip()))
}

/// The peer's address, wherever the server put it.
fn peer_addr<B>(req: &Request<B>) -> Option<SocketAddr> {
    let extensions = req.extensions();
    if let Some(PeerAddr(addr)) = extensions.get() {
        return Some(*addr);
    }
    #[cfg(feature = "axum")]
    if let Some(axum::extract::ConnectInfo(addr)) = extensions.get() {
        return Some(*addr);
    }
    #[cfg(feature = "tonic")]
    if let Some(info) = extensions.get::<tonic::transport::server::TcpConnectInfo>() {
        return info.remote_addr();
    }
    None
}

impl<B> Key<Request<B>> for ClientIp {
    type Key<'a>
        = ClientAddr
    where
        B: 'a;

    #[inline]
    fn key<'a>(&'a self, req: &'a Request<B>) -> Option<ClientAddr> {
        self.client(req)
    }
}
