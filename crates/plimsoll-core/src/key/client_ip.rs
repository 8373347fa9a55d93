//! The client's address, behind trusted proxies.

mod list;
mod range;

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName, Request};

use self::list::{List, parse_address};
pub use self::range::{InvalidIpRange, IpRange};
use super::{Key, Line};
use crate::count::Counter;

/// Most entries of a list that are read, from the right, to find one outside the trusted ranges. A
/// real chain of proxies is shorter, and each entry costs work that a caller can cause;
/// `a_walk_past_trusted_proxies_is_bounded` fails when it differs.
const LONGEST_CHAIN: usize = 32;

/// The peer's address, for servers other than axum's and tonic's. Insert it into the request's
/// extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerAddr(pub SocketAddr);

/// A client as a key: an IPv4 address, or the network of an IPv6 address. Mapped IPv4 addresses
/// count as IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientAddr(IpAddr);

impl ClientAddr {
    /// The key of an address, with IPv6 truncated to its first `v6_prefix` bits.
    fn new(addr: IpAddr, v6_prefix: u8) -> Self {
        Self(match addr.to_canonical() {
            v4 @ IpAddr::V4(_) => v4,
            v6 @ IpAddr::V6(_) => range::truncated(v6, v6_prefix),
        })
    }

    /// Returns the address, truncated to the network.
    pub const fn ip(self) -> IpAddr {
        self.0
    }
}

/// The client's IP address, from the peer or from trusted proxies.
///
/// Every caller can send the headers that proxies write, so the constructor names what is trusted.
/// Choose by what is in front of the service
/// ([more](https://github.com/plimsoll-rs/plimsoll/blob/main/docs/keys.md)):
///
/// | in front of this service | write |
/// |---|---|
/// | nothing | [`peer()`](Self::peer) |
/// | nginx, `HAProxy`, AWS ALB, Envoy, Traefik | [`behind(1)`](Self::behind) |
/// | Google Cloud's application load balancers | `behind(2)` |
/// | proxies of known addresses, in any number | [`behind_ranges(ranges)`](Self::behind_ranges) |
/// | Cloudflare | [`trusted_header`](Self::trusted_header)`(cf-connecting-ip)`[`.trusting_peers(ranges)`](Self::trusting_peers) |
/// | Fly | `trusted_header(fly-client-ip)` |
///
/// - `X-Forwarded-For` and, after [`forwarded()`](Self::forwarded), `Forwarded` (RFC 7239) are
///   lists to which each proxy appends the address that called it. They are read from the right,
///   and only as far as trusted proxies wrote: entries further left can be forged by the client.
/// - IPv6 addresses are grouped by /64, since one client owns that many.
/// - A required header that is too short, unreadable or, for a single address, repeated is no key,
///   and counts in [`malformed`](Self::malformed). An absent header is no key either.
///
/// The peer's address is read from [`PeerAddr`], axum's `ConnectInfo<SocketAddr>` (feature `axum`;
/// serve with `into_make_service_with_connect_info::<SocketAddr>()`) or tonic's `TcpConnectInfo`
/// (feature `tonic`). Without any of these, a request that needs the peer's address has no key: the
/// default, [`Missing::Share`](crate::Missing), then limits all clients as one, and logs a warning.
#[doc(alias("x-forwarded-for", "forwarded", "x-real-ip"))]
#[derive(Debug)]
pub struct ClientIp {
    source: Source,
    /// The peers whose headers are trusted; `None`: all.
    peers: Option<Box<[IpRange]>>,
    v6_prefix: u8,
    malformed: Counter,
}

/// Where the address is read.
#[derive(Debug)]
enum Source {
    Peer,
    /// The entry of the outermost of this many proxies, at least one.
    Hops(List, usize),
    /// The first entry from the right that is not a trusted proxy.
    Walk(List),
    Single(HeaderName),
}

impl ClientIp {
    /// Reads the address of the peer: no proxy is in front, and no header is read.
    pub const fn peer() -> Self {
        Self::behind(0)
    }

    /// Reads the client behind this many trusted proxies, including the one that calls this server.
    ///
    /// Behind one proxy the last entry of `X-Forwarded-For` is the client, behind two the last but
    /// one. Callers that can reach this server directly can forge the header: block them, or name
    /// the proxies with [`trusting_peers`](Self::trusting_peers).
    pub const fn behind(trusted_proxies: usize) -> Self {
        Self::reading(match trusted_proxies {
            0 => Source::Peer,
            hops => Source::Hops(List::XForwardedFor, hops),
        })
    }

    /// Reads the client behind any number of trusted proxies in these ranges.
    ///
    /// A peer outside the ranges is the client, whatever its headers say. For a peer inside, the
    /// client is the last entry of `X-Forwarded-For` outside the ranges; the first entry when all
    /// are inside; the peer when there is no header. At most 32 entries are read.
    ///
    /// ```
    /// use plimsoll_core::{ClientIp, IpRange};
    /// // A load balancer and an ingress in 10.0.0.0/8; monitoring calls the service directly.
    /// let key = ClientIp::behind_ranges(["10.0.0.0/8".parse::<IpRange>()?]);
    /// # _ = key;
    /// # Ok::<_, plimsoll_core::key::InvalidIpRange>(())
    /// ```
    pub fn behind_ranges(ranges: impl IntoIterator<Item = IpRange>) -> Self {
        Self::reading(Source::Walk(List::XForwardedFor)).trusting_peers(ranges)
    }

    /// Reads the one address in this header, as the proxy in front wrote it: `cf-connecting-ip`,
    /// `true-client-ip`, `x-real-ip`.
    ///
    /// The proxy must overwrite the client's header. If callers can reach this server directly,
    /// name the proxy's addresses with [`trusting_peers`](Self::trusting_peers).
    ///
    /// ```
    /// use http::HeaderName;
    /// use plimsoll_core::{ClientIp, IpRange};
    /// let cloudflare = ["173.245.48.0/20", "2400:cb00::/32"]; // and more: cloudflare.com/ips
    /// let ranges: Result<Vec<IpRange>, _> = cloudflare.iter().map(|range| range.parse()).collect();
    /// let key = ClientIp::trusted_header(HeaderName::from_static("cf-connecting-ip"))
    ///     .trusting_peers(ranges?);
    /// # _ = key;
    /// # Ok::<_, plimsoll_core::key::InvalidIpRange>(())
    /// ```
    pub const fn trusted_header(name: HeaderName) -> Self {
        Self::reading(Source::Single(name))
    }

    const fn reading(source: Source) -> Self {
        Self {
            source,
            peers: None,
            v6_prefix: 64,
            malformed: Counter::new(),
        }
    }

    /// Reads `Forwarded` (RFC 7239, `for=`) instead of `X-Forwarded-For`.
    ///
    /// Use it only when every trusted proxy writes this header: a proxy that does not write it
    /// forwards the client's header.
    #[must_use]
    pub fn forwarded(mut self) -> Self {
        if let Source::Hops(list, _) | Source::Walk(list) = &mut self.source {
            *list = List::Forwarded;
        }
        self
    }

    /// Trusts headers only of peers in these ranges. Any other peer is itself the client.
    #[must_use]
    pub fn trusting_peers(mut self, ranges: impl IntoIterator<Item = IpRange>) -> Self {
        self.peers = Some(ranges.into_iter().collect());
        self
    }

    /// Groups IPv6 clients by this many leading bits; values above 128 count as 128. 64 by default.
    #[must_use]
    pub const fn v6_prefix(mut self, bits: u8) -> Self {
        self.v6_prefix = bits;
        self
    }

    /// Returns how many requests had an unusable header of a trusted proxy.
    pub fn malformed(&self) -> u64 {
        self.malformed.get()
    }

    /// Returns the client of this request.
    pub fn client<B>(&self, req: &Request<B>) -> Option<ClientAddr> {
        let addr = match (&self.source, &self.peers) {
            (Source::Peer, _) => peer_addr(req)?.ip(),
            (_, None) => self.address_in(req.headers())?,
            (_, Some(_)) => {
                let peer = peer_addr(req)?.ip();
                let is_direct = || match self.source {
                    Source::Walk(list) => !list.is_in(req.headers()),
                    _ => false,
                };
                if !self.trusts(peer) || is_direct() {
                    peer
                } else {
                    self.address_in(req.headers())?
                }
            }
        };
        Some(ClientAddr::new(addr, self.v6_prefix))
    }

    fn trusts(&self, addr: IpAddr) -> bool {
        let ranges = self.peers.as_deref().unwrap_or_default();
        ranges.iter().any(|range| range.contains(addr))
    }

    /// Returns the address in the trusted header.
    fn address_in(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let (addr, is_there) = match &self.source {
            Source::Peer => (None, false),
            Source::Hops(list, hops) => {
                let entry = list.entries(headers).nth(hops - 1);
                (entry.flatten(), list.is_in(headers))
            }
            Source::Walk(list) => (self.walk(list.entries(headers)), true),
            Source::Single(name) => match Line::of(name, headers) {
                Line::Absent => (None, false),
                Line::Once(line) => (parse_address(line), true),
                Line::Unusable => (None, true),
            },
        };
        if addr.is_none() && is_there {
            self.malformed.add();
        }
        addr
    }

    /// Returns the first address that is not a trusted proxy. If all are trusted, returns the last
    /// address of the chain.
    fn walk(&self, entries: impl Iterator<Item = Option<IpAddr>>) -> Option<IpAddr> {
        let mut client = None;
        for (n, entry) in entries.enumerate() {
            let addr = entry.filter(|_| n < LONGEST_CHAIN)?;
            client = Some(addr);
            if !self.trusts(addr) {
                break;
            }
        }
        client
    }
}

/// Returns the peer's address from any of the server's extensions.
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

/// What to do when the peer's address is missing.
const NO_PEER: &str = if cfg!(feature = "axum") {
    "serve with `into_make_service_with_connect_info::<SocketAddr>()`, or put a `PeerAddr` into the extensions"
} else if cfg!(feature = "tonic") {
    "serve with tonic's transport, or enable plimsoll's feature `axum`, or put a `PeerAddr` into the extensions"
} else {
    "enable plimsoll's feature `axum` or `tonic`, or put a `PeerAddr` into the extensions"
};

impl<B> Key<Request<B>> for ClientIp {
    type Key<'a>
        = ClientAddr
    where
        B: 'a;

    #[inline]
    fn key<'a>(&'a self, req: &'a Request<B>) -> Option<ClientAddr> {
        self.client(req)
    }

    fn label(&self, req: &Request<B>) -> Option<String> {
        Some(self.client(req)?.ip().to_string())
    }

    fn cure(&self, req: &Request<B>) -> &'static str {
        let needs_peer = matches!(self.source, Source::Peer) || self.peers.is_some();
        if needs_peer && peer_addr(req).is_none() {
            NO_PEER
        } else {
            "check that the proxy in front writes the header that `ClientIp` reads, and how many proxies there are (docs/keys.md)"
        }
    }
}
