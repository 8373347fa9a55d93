//! The client's address, behind proxies that are trusted.

mod list;
mod range;

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName, Request};

use self::list::{List, parse_address};
pub use self::range::{InvalidIpRange, IpRange};
use super::{Key, Line};
use crate::count::Counter;

/// Entries of a list that are read at most, from the right, to find one outside of the trusted
/// ranges. More trusted proxies than this are not one chain, and each entry costs some work;
/// `a_walk_past_trusted_proxies_is_bounded` fails when it differs.
const LONGEST_CHAIN: usize = 32;

/// The peer's address, for servers that are neither axum's nor tonic's: put it into the request's
/// extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerAddr(pub SocketAddr);

/// A client as a key: an IPv4 address, or the network of an IPv6 address. Mapped IPv4 addresses are
/// IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientAddr(IpAddr);

impl ClientAddr {
    /// The key of an address, with IPv6 cut to its first `v6_prefix` bits.
    fn new(addr: IpAddr, v6_prefix: u8) -> Self {
        Self(match addr.to_canonical() {
            v4 @ IpAddr::V4(_) => v4,
            v6 @ IpAddr::V6(_) => range::truncated(v6, v6_prefix),
        })
    }

    /// The address, cut to the network.
    pub const fn ip(self) -> IpAddr {
        self.0
    }
}

/// The client's IP address, as the peer or as trusted proxies tell it.
///
/// Every caller can write the headers that proxies write, so the constructor names what is trusted.
/// Behind what you run, write ([more](https://github.com/plimsoll-rs/plimsoll/blob/main/docs/keys.md)):
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
/// - `X-Forwarded-For` and, after [`forwarded()`](Self::forwarded), `Forwarded` (RFC 7239) are lists
///   to which each proxy appends the address it was called from. They are read from the right, and no
///   further than trusted proxies wrote: what is to the left of that, the client made up.
/// - IPv6 addresses are grouped by /64, since one client owns as many.
/// - A header that is needed and is too short, unreadable or, for a single address, there twice is no
///   key, and counts in [`malformed`](Self::malformed). A header that is absent is no key either.
///
/// The peer's address is taken from [`PeerAddr`], axum's `ConnectInfo<SocketAddr>` (feature `axum`;
/// serve with `into_make_service_with_connect_info::<SocketAddr>()`) or tonic's `TcpConnectInfo`
/// (feature `tonic`). Without one of these there is no key, where the peer is needed: the default
/// way, [`Missing::Share`](crate::Missing), then limits all clients as one, and a warning says so.
#[derive(Debug)]
pub struct ClientIp {
    source: Source,
    /// The peers whose headers are believed; `None`: all.
    peers: Option<Box<[IpRange]>>,
    v6_prefix: u8,
    malformed: Counter,
}

/// Where the address is written.
#[derive(Debug)]
enum Source {
    Peer,
    /// The entry of the outermost of this many proxies, at least one.
    Hops(List, usize),
    /// The first entry from the right that is no trusted proxy.
    Walk(List),
    Single(HeaderName),
}

impl ClientIp {
    /// The address of the peer: no proxy in front, and no header is read.
    pub const fn peer() -> Self {
        Self::behind(0)
    }

    /// The client behind this many trusted proxies, the one that calls this server included.
    ///
    /// Behind one proxy the last entry of `X-Forwarded-For` is the client, behind two the last but
    /// one. Callers that reach this server past the proxies can write what they like: keep them out,
    /// or name the proxies with [`trusting_peers`](Self::trusting_peers).
    pub const fn behind(trusted_proxies: usize) -> Self {
        Self::reading(match trusted_proxies {
            0 => Source::Peer,
            hops => Source::Hops(List::XForwardedFor, hops),
        })
    }

    /// The client behind any number of trusted proxies in these ranges.
    ///
    /// A peer outside of the ranges is the client, whatever its headers say. Otherwise the client is
    /// the last entry of `X-Forwarded-For` outside of the ranges; when all are inside, the first; and
    /// without the header, the peer. At most 32 entries are read.
    ///
    /// ```
    /// use plimsoll_core::{ClientIp, IpRange};
    /// // A load balancer and an ingress in 10.0.0.0/8, and monitoring that calls past them.
    /// let key = ClientIp::behind_ranges(["10.0.0.0/8".parse::<IpRange>()?]);
    /// # _ = key;
    /// # Ok::<_, plimsoll_core::InvalidIpRange>(())
    /// ```
    pub fn behind_ranges(ranges: impl IntoIterator<Item = IpRange>) -> Self {
        Self::reading(Source::Walk(List::XForwardedFor)).trusting_peers(ranges)
    }

    /// The one address in this header, as the proxy in front wrote it: `cf-connecting-ip`,
    /// `true-client-ip`, `x-real-ip`.
    ///
    /// The proxy must overwrite what the client sent, and callers must not be able to reach this
    /// server past it: name its addresses with [`trusting_peers`](Self::trusting_peers) where they can.
    ///
    /// ```
    /// use http::HeaderName;
    /// use plimsoll_core::{ClientIp, IpRange};
    /// let cloudflare = ["173.245.48.0/20", "2400:cb00::/32"]; // and more: cloudflare.com/ips
    /// let ranges: Result<Vec<IpRange>, _> = cloudflare.iter().map(|range| range.parse()).collect();
    /// let key = ClientIp::trusted_header(HeaderName::from_static("cf-connecting-ip"))
    ///     .trusting_peers(ranges?);
    /// # _ = key;
    /// # Ok::<_, plimsoll_core::InvalidIpRange>(())
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
    /// Only where every trusted proxy writes this header: one that does not passes the client's on.
    #[must_use]
    pub fn forwarded(mut self) -> Self {
        if let Source::Hops(list, _) | Source::Walk(list) = &mut self.source {
            *list = List::Forwarded;
        }
        self
    }

    /// Believes headers only of peers in these ranges. Another peer is the client itself.
    #[must_use]
    pub fn trusting_peers(mut self, ranges: impl IntoIterator<Item = IpRange>) -> Self {
        self.peers = Some(ranges.into_iter().collect());
        self
    }

    /// Groups IPv6 clients by this many leading bits; more than 128 is 128.
    #[must_use]
    pub const fn v6_prefix(mut self, bits: u8) -> Self {
        self.v6_prefix = if bits > 128 { 128 } else { bits };
        self
    }

    /// Requests with a header of a trusted proxy that could not be used.
    pub fn malformed(&self) -> u64 {
        self.malformed.get()
    }

    /// The client of this request.
    pub fn client<B>(&self, req: &Request<B>) -> Option<ClientAddr> {
        let addr = match (&self.source, &self.peers) {
            (Source::Peer, _) => peer_addr(req)?.ip(),
            (_, None) => self.told(req.headers())?,
            (_, Some(_)) => {
                let peer = peer_addr(req)?.ip();
                if !self.trusts(peer) {
                    peer
                } else if let Source::Walk(list) = self.source
                    && !list.is_in(req.headers())
                {
                    peer
                } else {
                    self.told(req.headers())?
                }
            }
        };
        Some(ClientAddr::new(addr, self.v6_prefix))
    }

    fn trusts(&self, addr: IpAddr) -> bool {
        let ranges = self.peers.as_deref().unwrap_or_default();
        ranges.iter().any(|range| range.contains(addr))
    }

    /// The address in the header that is believed.
    fn told(&self, headers: &HeaderMap) -> Option<IpAddr> {
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

    /// The first address that is no trusted proxy, or the last one of a chain that ends before.
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

/// What to do where the peer's address is not known.
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

    fn cure(&self, req: &Request<B>) -> &'static str {
        let needs_peer = matches!(self.source, Source::Peer) || self.peers.is_some();
        if needs_peer && peer_addr(req).is_none() {
            NO_PEER
        } else {
            "check that the proxy in front writes the header that `ClientIp` reads, and how many proxies there are (docs/keys.md)"
        }
    }
}
