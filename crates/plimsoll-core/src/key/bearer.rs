//! A bearer token as the key.

use http::{Request, header::AUTHORIZATION};

use super::{Key, SecretKey, secret::Line};
use crate::count::Counter;

/// The token in `Authorization: Bearer <token>` (RFC 6750). The scheme is case-insensitive.
///
/// Other schemes are no key. Repeated header lines, an empty token, a token with invalid characters
/// and a header of more than 4,096 bytes are no key either, and count in
/// [`unusable`](BearerToken::unusable).
///
/// As with [`ApiKey`](crate::ApiKey), the token is not checked for validity, and each token is a
/// key of its own. For short-lived tokens, read the subject with a closure instead.
#[doc(alias("authorization"))]
#[derive(Debug, Default)]
pub struct BearerToken {
    unusable: Counter,
}

impl BearerToken {
    /// Reads `Authorization`.
    pub const fn new() -> Self {
        Self {
            unusable: Counter::new(),
        }
    }

    /// Returns how many requests had a malformed bearer token, or an empty, oversized or repeated
    /// `Authorization` header.
    pub fn unusable(&self) -> u64 {
        self.unusable.get()
    }
}

impl<B> Key<Request<B>> for BearerToken {
    type Key<'a>
        = SecretKey<'a>
    where
        B: 'a;

    fn key<'a>(&'a self, req: &'a Request<B>) -> Option<SecretKey<'a>> {
        let credentials = match Line::of(&AUTHORIZATION, req.headers()) {
            Line::Absent => return None,
            Line::Once(line) => after_scheme(line)?,
            Line::Unusable => b"",
        };
        let token = Some(credentials.trim_ascii()).filter(|token| is_token(token));
        if token.is_none() {
            self.unusable.add();
        }
        token.map(SecretKey::bearer)
    }
}

/// Returns what follows `Bearer`; `None` for another scheme.
fn after_scheme(line: &[u8]) -> Option<&[u8]> {
    const SCHEME: &[u8] = b"bearer";
    let (scheme, rest) = line.split_at_checked(SCHEME.len())?;
    let ends = matches!(rest.first(), None | Some(b' '));
    (scheme.eq_ignore_ascii_case(SCHEME) && ends).then_some(rest)
}

/// Returns whether this is a `b64token`: one or more of the characters below, then any number of
/// `=`.
fn is_token(bytes: &[u8]) -> bool {
    let padding = bytes.iter().rev().take_while(|byte| **byte == b'=').count();
    let text = &bytes[..bytes.len() - padding];
    let is_allowed = |byte: &u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/')
    };
    !text.is_empty() && text.iter().all(is_allowed)
}
