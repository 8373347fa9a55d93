//! Keys that are secrets.

use std::{
    fmt,
    hash::{Hash, Hasher},
};

use http::{HeaderMap, header::AsHeaderName};

/// Longest value that is a key, in bytes. Hashing is the only work that grows with what a caller
/// sends; `an_api_key_is_1_to_4096_bytes_of_any_value` fails when it
/// differs.
const LONGEST: usize = 4096;

/// A borrowed secret, such as an API key, that can only be hashed.
///
/// It does not print, compare or convert, so it does not end up in logs or labels. Keyed policies
/// keep only its 64-bit hash under a random seed, from which it cannot be recovered. Hashing does
/// the same work for every byte value. An API key and a bearer token of the same bytes are two
/// keys.
///
/// Other code can still print the header: mark it as sensitive (`HeaderValue::set_sensitive`, or
/// tower-http's `SetSensitiveRequestHeadersLayer`) before anything that prints requests.
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
    /// The key that [`ApiKey`](crate::ApiKey) reads from a header with these bytes: for
    /// [`KeyedHandle::with_cell`](crate::KeyedHandle::with_cell), or for your own key.
    pub const fn api_key(bytes: &'a [u8]) -> Self {
        Self {
            kind: Kind::ApiKey,
            bytes,
        }
    }

    /// The key that [`BearerToken`](crate::BearerToken) reads from a header with this token.
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

/// A header that must occur exactly once.
pub(crate) enum Line<'a> {
    Absent,
    Once(&'a [u8]),
    /// Repeated, empty or too long. Two readers of a repeated header might use different lines.
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
