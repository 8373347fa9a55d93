//! The target host as the key.

use std::{
    fmt::{self, Write as _},
    hash::{Hash, Hasher},
};

use http::{Request, header::HOST, uri};

use super::{Key, secret::Line};

/// Longest host, in bytes: the limit of DNS names. It bounds the cost of hashing whatever a caller
/// sends; `without_an_authority_in_the_uri_the_host_header_is_the_key` fails when it differs.
const LONGEST: usize = 255;

/// The host and port that a request is for: the key of a circuit breaker per host.
///
/// Read from the authority of the URI, which HTTP clients and HTTP/2 set, or from the `Host` header
/// of an HTTP/1 server request. HTTP clients add `Host` below the gate, so a gate around a client
/// cannot read it.
///
/// - Hosts are compared case-insensitively. User names are ignored.
/// - The port is the one given, or the default of the URI's scheme (`http` 80, `https` 443):
///   `https://a/` and `https://A:443/` are one key, `http://a/` is another. Without port and
///   scheme, as in `Host: a`, the key has no port.
/// - No key: both sources are absent, the host is longer than 255 bytes, or `Host` is malformed or
///   repeated. A tonic channel adds the authority below the gate: make one gate per channel.
///
/// On a server the caller chooses the host, and may invent a new one for each request.
///
/// ```
/// use plimsoll_core::{Authority, Key, key::AuthorityKey};
/// let req = http::Request::get("https://API.example.com/users").body(())?;
/// assert_eq!(Authority.key(&req), Some(AuthorityKey::new("api.example.com", 443)));
/// # Ok::<_, http::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Authority;

/// The key read by [`Authority`]: a host in any case, and a port.
///
/// Prints as `host:port` in lower case.
#[derive(Clone, Copy)]
pub struct AuthorityKey<'a> {
    host: &'a str,
    port: Option<u16>,
}

impl<'a> AuthorityKey<'a> {
    /// The key of this host and port, for example for
    /// [`KeyedHandle::with_cell`](crate::KeyedHandle::with_cell). IPv6 addresses need brackets.
    pub fn new(host: &'a str, port: impl Into<Option<u16>>) -> Self {
        Self {
            host,
            port: port.into(),
        }
    }

    /// Returns the host, in the case in which it was written.
    pub const fn host(&self) -> &'a str {
        self.host
    }

    /// Returns the port given, or the scheme's default.
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    fn of_uri(authority: &'a uri::Authority, scheme: Option<&str>) -> Option<Self> {
        let default = || match scheme? {
            "http" => Some(80),
            "https" => Some(443),
            _ => None,
        };
        let port = authority.port_u16().or_else(default);
        let host = authority.host();
        (1..=LONGEST)
            .contains(&host.len())
            .then(|| Self::new(host, port))
    }

    /// Parses `host [":" [port]]`, with IPv6 addresses in brackets.
    fn of_line(line: &'a [u8]) -> Option<Self> {
        let line = std::str::from_utf8(line.trim_ascii()).ok()?;
        let host_len = match line.strip_prefix('[') {
            Some(rest) => rest.find(']')? + 2,
            None => line.find(':').unwrap_or(line.len()),
        };
        let (host, rest) = line.split_at(host_len);
        let port = match rest {
            "" | ":" => None,
            _ => Some(port(rest.strip_prefix(':')?)?),
        };
        is_host(host).then(|| Self::new(host, port))
    }

    /// Passes the host in lower case to `each`, in pieces.
    fn lower_case(&self, mut each: impl FnMut(&[u8])) {
        for piece in self.host.as_bytes().chunks(32) {
            let mut lower = [0; 32];
            let lower = &mut lower[..piece.len()];
            lower.copy_from_slice(piece);
            lower.make_ascii_lowercase();
            each(lower);
        }
    }
}

fn port(digits: &str) -> Option<u16> {
    let all = digits.bytes().all(|byte| byte.is_ascii_digit());
    all.then(|| digits.parse().ok())?
}

/// Returns whether this is a name, an IPv4 address, or an IPv6 address in brackets.
fn is_host(host: &str) -> bool {
    let (name, extra): (_, &[u8]) = match host.strip_prefix('[') {
        Some(rest) => (rest.trim_end_matches(']'), b":."),
        None => (host, b"-._~%"),
    };
    (1..=LONGEST).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || extra.contains(&byte))
}

impl<B> Key<Request<B>> for Authority {
    type Key<'a>
        = AuthorityKey<'a>
    where
        B: 'a;

    fn key<'a>(&'a self, req: &'a Request<B>) -> Option<AuthorityKey<'a>> {
        if let Some(authority) = req.uri().authority() {
            return AuthorityKey::of_uri(authority, req.uri().scheme_str());
        }
        match Line::of(HOST, req.headers()) {
            Line::Once(line) => AuthorityKey::of_line(line),
            Line::Absent | Line::Unusable => None,
        }
    }

    fn label(&self, req: &Request<B>) -> Option<String> {
        Some(self.key(req)?.to_string())
    }
}

impl PartialEq for AuthorityKey<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.port == other.port && self.host.eq_ignore_ascii_case(other.host)
    }
}

impl Eq for AuthorityKey<'_> {}

impl Hash for AuthorityKey<'_> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.lower_case(|piece| state.write(piece));
        // Separates host and port: 0xff occurs in no host.
        state.write_u8(0xff);
        self.port.hash(state);
    }
}

impl fmt::Display for AuthorityKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in self.host.chars() {
            f.write_char(letter.to_ascii_lowercase())?;
        }
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for AuthorityKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuthorityKey({self})")
    }
}
