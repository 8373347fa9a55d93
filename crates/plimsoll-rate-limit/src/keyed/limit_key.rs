//! Keys given by value, to look up a caller through a handle.

use std::{
    fmt,
    hash::{Hash, Hasher},
    net::{IpAddr, Ipv6Addr},
};

use plimsoll_core::key::SecretKey;

/// The key of a caller, equal to the key that the limit derives from a request.
///
/// For the methods of the handle: [available](super::KeyedRateLimitHandle::available),
/// [reset](super::KeyedRateLimitHandle::reset) and [grant](super::KeyedRateLimitHandle::grant).
///
/// | the limit's key | write |
/// |---|---|
/// | [`ClientIp`](plimsoll_core::ClientIp) | [`LimitKey::client_ip(addr)`](Self::client_ip) |
/// | [`ApiKey`](plimsoll_core::ApiKey) | [`LimitKey::api_key("s3cret")`](Self::api_key) |
/// | [`BearerToken`](plimsoll_core::BearerToken) | [`LimitKey::bearer(token)`](Self::bearer), without the scheme |
/// | [`HeaderKey`](plimsoll_core::HeaderKey) | [`LimitKey::header("acme")`](Self::header), or a `HeaderValue` |
/// | [`Route`](plimsoll_core::Route) | [`LimitKey::route("/users/{id}")`](Self::route) |
/// | a closure | the value that the closure returns: the handle takes any type with `Hash` |
///
/// Its `Debug` output never contains a secret.
#[derive(Clone, Copy)]
pub struct LimitKey<'a>(Named<'a>);

#[derive(Clone, Copy)]
enum Named<'a> {
    Client(IpAddr),
    Secret(SecretKey<'a>),
    Header(&'a [u8]),
    Route(&'a str),
}

impl<'a> LimitKey<'a> {
    /// The client with this address. IPv6 is cut to its /64, as in
    /// [`ClientIp`](plimsoll_core::ClientIp).
    pub fn client_ip(addr: IpAddr) -> Self {
        Self::client_network(addr, 64)
    }

    /// The client with this address, for a [`ClientIp`](plimsoll_core::ClientIp) with another IPv6
    /// prefix.
    ///
    /// See [`ClientIp::v6_prefix`](plimsoll_core::ClientIp::v6_prefix). More than 128 bits are
    /// treated as 128.
    pub fn client_network(addr: IpAddr, v6_prefix: u8) -> Self {
        let network = match addr.to_canonical() {
            IpAddr::V6(v6) => {
                let host_bits = 128 - u32::from(v6_prefix.min(128));
                let mask = u128::MAX.checked_shl(host_bits).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & mask))
            }
            v4 @ IpAddr::V4(_) => v4,
        };
        Self(Named::Client(network))
    }

    /// The caller with this API key, byte for byte.
    pub fn api_key<T: AsRef<[u8]> + ?Sized>(key: &'a T) -> Self {
        Self(Named::Secret(SecretKey::api_key(key.as_ref())))
    }

    /// The caller with this bearer token: the part after `Bearer `.
    pub fn bearer<T: AsRef<[u8]> + ?Sized>(token: &'a T) -> Self {
        Self(Named::Secret(SecretKey::bearer(token.as_ref())))
    }

    /// The caller whose header has this value, byte for byte.
    pub fn header<T: AsRef<[u8]> + ?Sized>(value: &'a T) -> Self {
        Self(Named::Header(value.as_ref()))
    }

    /// All callers of this route: axum's pattern (`/users/{id}`), or the path of a gRPC method.
    pub const fn route(pattern: &'a str) -> Self {
        Self(Named::Route(pattern))
    }
}

/// Hashes like the keys that are read from requests.
impl Hash for LimitKey<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self.0 {
            Named::Client(addr) => addr.hash(state),
            Named::Secret(secret) => secret.hash(state),
            Named::Header(value) => value.hash(state),
            Named::Route(pattern) => pattern.hash(state),
        }
    }
}

impl fmt::Debug for LimitKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Named::Client(addr) => f.debug_tuple("LimitKey").field(&addr).finish(),
            Named::Route(pattern) => f.debug_tuple("LimitKey").field(&pattern).finish(),
            // A header may be a secret, too.
            Named::Secret(_) | Named::Header(_) => f.write_str("LimitKey(..)"),
        }
    }
}
