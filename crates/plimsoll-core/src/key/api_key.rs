//! An API key as the key.

use http::{HeaderName, Request};

use super::{Key, SecretKey, secret::Line};
use crate::count::Counter;

/// The API key in a header, byte for byte; it need not be text.
///
/// Repeated header lines, an empty value and a value of more than 4,096 bytes are no key, and count
/// in [`unusable`](ApiKey::unusable). The policy's [`Missing`](crate::Missing) decides about
/// requests without a key; with `Missing::Admit` a caller escapes the limit by sending no key or a
/// bad one.
///
/// The key is not checked for validity: a caller that invents a new key for each request gets a new
/// allowance each time. Put authentication in front, or a limit by [`ClientIp`](crate::ClientIp)
/// beside it.
///
/// ```
/// use plimsoll_core::{ApiKey, Key};
/// let req = http::Request::builder().header("x-api-key", "s3cret").body(())?;
/// let reader = ApiKey::new();
/// assert_eq!(format!("{:?}", reader.key(&req)), "Some(SecretKey(..))");
/// # Ok::<_, http::Error>(())
/// ```
#[doc(alias("x-api-key"))]
#[derive(Debug)]
pub struct ApiKey {
    header: HeaderName,
    unusable: Counter,
}

impl ApiKey {
    /// Reads `x-api-key`.
    pub const fn new() -> Self {
        Self::header(HeaderName::from_static("x-api-key"))
    }

    /// Reads the header called `name`.
    pub const fn header(name: HeaderName) -> Self {
        Self {
            header: name,
            unusable: Counter::new(),
        }
    }

    /// Returns how many requests had the header, but no usable key in it.
    pub fn unusable(&self) -> u64 {
        self.unusable.get()
    }
}

impl Default for ApiKey {
    fn default() -> Self {
        Self::new()
    }
}

impl<B> Key<Request<B>> for ApiKey {
    type Key<'a>
        = SecretKey<'a>
    where
        B: 'a;

    #[inline]
    fn key<'a>(&'a self, req: &'a Request<B>) -> Option<SecretKey<'a>> {
        match Line::of(&self.header, req.headers()) {
            Line::Absent => None,
            Line::Once(bytes) => Some(SecretKey::api_key(bytes)),
            Line::Unusable => {
                self.unusable.add();
                None
            }
        }
    }
}
