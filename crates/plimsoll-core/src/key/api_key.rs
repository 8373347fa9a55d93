//! An API key as the key.

use http::{HeaderName, Request};

use super::{Key, SecretKey, secret::Line};
use crate::count::Counter;

/// The API key in a header, byte for byte; it need not be text.
///
/// Several header lines, an empty value and one of more than 4,096 bytes are no key, and count in
/// [`unusable`](ApiKey::unusable). What becomes of requests without a key is the [`Missing`](crate::Missing) choice of
/// the policy; with `Missing::Admit` a caller can escape the limit by sending no key or a bad one.
///
/// Nothing here checks that a key is valid: a caller that makes up a new one for each request has a new allowance for
/// each. Put what authenticates first, or a limit by [`ClientIp`](crate::ClientIp) beside it.
///
/// ```
/// use plimsoll_core::{ApiKey, Key};
/// let req = http::Request::builder().header("x-api-key", "s3cret").body(())?;
/// let reader = ApiKey::new();
/// assert_eq!(format!("{:?}", reader.key(&req)), "Some(SecretKey(..))");
/// # Ok::<_, http::Error>(())
/// ```
#[derive(Debug)]
pub struct ApiKey {
    header: HeaderName,
    unusable: Counter,
}

impl ApiKey {
    /// The value of `x-api-key`.
    pub const fn new() -> Self {
        Self::header(HeaderName::from_static("x-api-key"))
    }

    /// The value of the header called `name`.
    pub const fn header(name: HeaderName) -> Self {
        Self {
            header: name,
            unusable: Counter::new(),
        }
    }

    /// How many requests had the header, and no key in it.
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
