//! What a caller may spend, as the `RateLimit` and `RateLimit-Policy` fields tell it.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

/// `RateLimit-Policy` of draft-ietf-httpapi-ratelimit-headers.
pub(crate) const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// `RateLimit` of the same draft.
pub(crate) const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// The longest name of a quota.
const MAX_NAME: usize = 64;
/// The largest integer a structured field can carry (RFC 9651, section 3.3.1).
const MAX_INTEGER: u64 = 999_999_999_999_999;

/// A caller's quota and what is left of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// The name of the quota on the wire; see [`Allowance::is_name`].
    pub name: &'static str,
    /// `q`: requests per window.
    pub limit: u64,
    /// `w`: the window, whole seconds and at least one. Left out when zero.
    pub window_secs: u64,
    /// `r`: requests the caller may still send.
    pub remaining: u64,
    /// `t`: after this long the quota is whole again. Rounded up to seconds.
    pub reset: Duration,
}

impl Allowance {
    /// Whether `name` can stand in the fields: 1 to 64 printable ASCII characters other than `"` and `\`.
    pub const fn is_name(name: &str) -> bool {
        let bytes = name.as_bytes();
        let mut i = 0;
        while i < bytes.len() {
            if !matches!(bytes[i], 0x20..=0x7e) || matches!(bytes[i], b'"' | b'\\') {
                return false;
            }
            i += 1;
        }
        !bytes.is_empty() && bytes.len() <= MAX_NAME
    }

    /// Appends both fields, so that quotas of several policies stand side by side.
    pub fn write(&self, headers: &mut HeaderMap) {
        for (name, field) in [
            (RATELIMIT_POLICY, self.policy_field()),
            (RATELIMIT, self.left_field()),
        ] {
            // Fails only past 32,768 headers, and then the response is lost for other reasons.
            _ = headers.try_append(name, field);
        }
    }

    /// The value of `RateLimit-Policy`.
    pub(crate) fn policy_field(&self) -> HeaderValue {
        let mut field = Field::named(self.name);
        field.parameter(";q=", self.limit);
        if self.window_secs > 0 {
            field.parameter(";w=", self.window_secs);
        }
        field.into_value()
    }

    /// The value of `RateLimit`.
    pub(crate) fn left_field(&self) -> HeaderValue {
        let mut field = Field::named(self.name);
        field.parameter(";r=", self.remaining);
        field.parameter(";t=", whole_seconds(self.reset));
        field.into_value()
    }
}

/// Seconds, rounded up: never earlier than the truth.
pub(crate) fn whole_seconds(duration: Duration) -> u64 {
    duration
        .as_secs()
        .saturating_add(u64::from(duration.subsec_nanos() > 0))
}

/// One list member `"name";a=1;b=2`: a String item with Integer parameters, all this crate ever writes.
/// (The tests read it back with `sfv`.) Built on the stack: refusals are made by the thousand.
struct Field {
    bytes: [u8; Self::LONGEST],
    len: usize,
}

impl Field {
    /// A quoted name and two parameters, each of three bytes and an integer.
    const LONGEST: usize = MAX_NAME + 2 + 2 * (3 + 15);

    fn named(name: &str) -> Self {
        let mut field = Self {
            bytes: [0; Self::LONGEST],
            len: 0,
        };
        field.push(b"\"");
        // Names are checked where they are given; a longer one is cut rather than trusted.
        field.push(&name.as_bytes()[..name.len().min(MAX_NAME)]);
        field.push(b"\"");
        field
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    fn parameter(&mut self, key: &str, value: u64) {
        self.push(key.as_bytes());
        let mut value = value.min(MAX_INTEGER);
        let mut digits = [0; 15];
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = b'0' + (value % 10) as u8;
            value /= 10;
            if value == 0 {
                break;
            }
        }
        self.push(&digits[at..]);
    }

    fn into_value(self) -> HeaderValue {
        // Fails only for a name with control characters, which `Allowance::is_name` keeps out.
        HeaderValue::from_bytes(&self.bytes[..self.len]).unwrap_or(HeaderValue::from_static(""))
    }
}
