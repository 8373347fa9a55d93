//! Keys that are secrets.

use std::{
    fmt,
    hash::{Hash, Hasher},
};

use http::{HeaderMap, header::AsHeaderName};

/// Longer values are no keys: hashing is the only work that grows with what a caller sends.
const LONGEST: usize = 4096;

/// A borrowed secret, such as an API key, that can be hashed and nothing else.
///
/// It does not print, compare or convert, so it ends up in no log and no label. Keyed policies keep no more than its
/// 64-bit hash under a random seed, from which it cannot be read back. Hashing does the same work for every byte,
/// whatever the bytes are. The same bytes as an API key and as a bearer token are two keys.
///
/// What else sees the header is another matter: mark it as sensitive (`HeaderValue::set_sensitive`, or tower-http's
/// `SetSensitiveRequestHeadersLayer`) before anything that prints requests.
#[derive(Clone, Copy)]
pub struct SecretKey<'a> {
    kind: Kind,
    bytes: &'a [u8],
}

#[derive(Clone, Copy)]
enum Kind {
    ApiKey,
    Bearer,
}

impl<'a> SecretKey<'a> {
    /// What [`ApiKey`](crate::ApiKey) reads from a header with these bytes: to look at a cell with
    /// [`KeyedHandle::with_cell`](crate::KeyedHandle::with_cell), or for a key of your own.
    pub const fn api_key(bytes: &'a [u8]) -> Self {
        Self {
            kind: Kind::ApiKey,
            bytes,
        }
    }

    /// What [`BearerToken`](crate::BearerToken) reads from a header with this token.
    pub const fn bearer(token: &'a [u8]) -> Self {
        Self {
            kind: Kind::Bearer,
            bytes: token,
        }
    }
}

impl Hash for SecretKey<'_> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u8(self.kind as u8);
        self.bytes.hash(state);
    }
}

impl fmt::Debug for SecretKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

/// A header that has to be there once.
pub(crate) enum Line<'a> {
    Absent,
    Once(&'a [u8]),
    /// More than one line, empty, or too long: two readers might take it for two different keys, or none.
    Unusable,
}

impl<'a> Line<'a> {
    pub(crate) fn of(name: impl AsHeaderName, headers: &'a HeaderMap) -> Self {
        let mut lines = headers.get_all(name).iter();
        match (lines.next().map(http::HeaderValue::as_bytes), lines.next()) {
            (None, _) => Self::Absent,
            (Some(bytes), None) if (1..=LONGEST).contains(&bytes.len()) => Self::Once(bytes),
            _ => Self::Unusable,
        }
    }
}
