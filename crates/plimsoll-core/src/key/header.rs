//! A header as the key.

use http::{HeaderName, Request};

use super::Key;

/// The value of a header, byte for byte: an API key, a tenant, a publisher. Only its hash is kept.
///
/// The caller writes the header, so trust it only behind something that checks it.
#[derive(Debug, Clone)]
pub struct HeaderKey(pub HeaderName);

impl HeaderKey {
    /// The value of the header called `name`.
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
        req.headers().get(&self.0).map(http::HeaderValue::as_bytes)
    }
}
