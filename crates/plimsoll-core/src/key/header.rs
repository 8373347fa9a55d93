//! A header as the key.

use http::{HeaderName, Request};

use super::{Key, Line};

/// The value of a header, byte for byte: a tenant, a publisher, an account. Only its hash is kept.
///
/// For secrets use [`ApiKey`](crate::ApiKey) or [`BearerToken`](crate::BearerToken), whose keys do
/// not print.
///
/// An empty value and a value of more than 4,096 bytes are no key. Neither are repeated header
/// lines: a service further in may read a different one of them.
///
/// The caller writes the header, so use it only behind something that validates it.
#[derive(Debug, Clone)]
pub struct HeaderKey(pub HeaderName);

impl HeaderKey {
    /// Reads the header called `name`.
    ///
    /// # Panics
    ///
    /// When `name` is not a lower-case header name; in a `const` that is a compile error.
    pub const fn from_static(name: &'static str) -> Self {
        Self(HeaderName::from_static(name))
    }
}

impl<B> Key<Request<B>> for HeaderKey {
    type Key<'a>
        = &'a [u8]
    where
        B: 'a;

    #[inline]
    fn key<'a>(&'a self, req: &'a Request<B>) -> Option<&'a [u8]> {
        match Line::of(&self.0, req.headers()) {
            Line::Once(value) => Some(value),
            Line::Absent | Line::Unusable => None,
        }
    }

    fn label(&self, req: &Request<B>) -> Option<String> {
        Some(String::from_utf8_lossy(self.key(req)?).into_owned())
    }
}
