//! A bearer token as the key.

use http::{Request, header::AUTHORIZATION};

use super::{Key, SecretKey, secret::Line};
use crate::count::Counter;

/// The token in `Authorization: Bearer <token>` (RFC 6750), in any case of the scheme.
///
/// Other schemes are no key. Neither are several header lines, an empty token, one with characters a token cannot have, and a
/// header of more than 4,096 bytes; those count in [`unusable`](BearerToken::unusable).
///
/// As for [`ApiKey`](crate::ApiKey), nothing here checks that a token is valid, and each token is a key of its own: where
/// tokens are short-lived, read who it was issued to with a closure instead.
#[derive(Debug, Default)]
pub struct BearerToken {
    unusable: Counter,
}

impl BearerToken {
    /// The token in `Authorization`.
    pub const fn new() -> Self {
        Self {
            unusable: Counter::new(),
        }
    }

    /// How many requests had a bearer token that is none, or an `Authorization` that is empty, too long or there twice.
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

/// What follows `Bearer`; `None` for another scheme.
fn after_scheme(line: &[u8]) -> Option<&[u8]> {
    const SCHEME: &[u8] = b"bearer";
    let (scheme, rest) = line.split_at_checked(SCHEME.len())?;
    let ends = matches!(rest.first(), None | Some(b' '));
    (scheme.eq_ignore_ascii_case(SCHEME) && ends).then_some(rest)
}

/// `b64token`: one or more of the characters below, then any number of `=`.
fn is_token(bytes: &[u8]) -> bool {
    let padding = bytes.iter().rev().take_while(|byte| **byte == b'=').count();
    let text = &bytes[..bytes.len() - padding];
    let may_stand = |byte: &u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/')
    };
    !text.is_empty() && text.iter().all(may_stand)
}
