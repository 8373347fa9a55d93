//! `google.rpc.Status` with its details, in protobuf.

mod read;

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD_NO_PAD};

pub use self::read::retry_info;

const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";
const QUOTA_FAILURE: &str = "type.googleapis.com/google.rpc.QuotaFailure";

/// A violation of `google.rpc.QuotaFailure`.
pub(super) struct Violation<'a> {
    pub(super) subject: &'a str,
    pub(super) description: &'a str,
    pub(super) quota_id: &'a str,
    pub(super) quota_value: u64,
}

/// Builds
/// `google.rpc.Status { code, message, details: [RetryInfo { retry_delay }, QuotaFailure { violations }] }`,
/// serialised and in base64 without padding, as `-bin` metadata requires.
pub(super) fn details(
    code: u8,
    message: &str,
    wait: Option<Duration>,
    violation: Option<&Violation<'_>>,
) -> String {
    let mut status = Backwards(Vec::with_capacity(256));
    if let Some(violation) = violation {
        status.any(QUOTA_FAILURE, |failure| {
            failure.message(1, |to| {
                to.number(7, violation.quota_value);
                to.bytes(5, violation.quota_id.as_bytes());
                to.bytes(2, violation.description.as_bytes());
                to.bytes(1, violation.subject.as_bytes());
            });
        });
    }
    if let Some(wait) = wait {
        status.any(RETRY_INFO, |info| {
            info.message(1, |delay| {
                delay.number(2, wait.subsec_nanos().into());
                delay.number(1, wait.as_secs().min(LONGEST_SECS));
            });
        });
    }
    status.bytes(2, message.as_bytes());
    status.number(1, code.into());
    status.0.reverse();
    BASE64_STANDARD_NO_PAD.encode(status.0)
}

/// Longest `google.protobuf.Duration` in seconds, about 10,000 years. Longer ones are invalid.
const LONGEST_SECS: u64 = 315_576_000_000;

/// A protobuf message written backwards, last field and last byte first.
///
/// The length of a message is then known when it is written.
struct Backwards(Vec<u8>);

impl Backwards {
    /// Writes a field of wire type 0. Zero is the default and is not written.
    fn number(&mut self, field: u8, value: u64) {
        if value > 0 {
            self.varint(value);
            self.0.push(field << 3);
        }
    }

    /// Writes a field of wire type 2.
    fn bytes(&mut self, field: u8, bytes: &[u8]) {
        self.message(field, |to| to.0.extend(bytes.iter().rev()));
    }

    /// Writes a field of wire type 2 that contains what `write` writes.
    fn message(&mut self, field: u8, write: impl FnOnce(&mut Self)) {
        let before = self.0.len();
        write(self);
        self.varint((self.0.len() - before) as u64);
        self.0.push(field << 3 | 2);
    }

    /// Writes one of the details: a `google.protobuf.Any` with a message of this type.
    fn any(&mut self, type_url: &str, write: impl FnOnce(&mut Self)) {
        self.message(3, |any| {
            any.message(2, write);
            any.bytes(1, type_url.as_bytes());
        });
    }

    fn varint(&mut self, mut value: u64) {
        let start = self.0.len();
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
        self.0[start..].reverse();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes were checked with protoc.
    #[test]
    fn details_match_the_golden_bytes() {
        assert_eq!(
            details(8, "rate limited", Some(Duration::from_millis(1500)), None),
            "CAgSDHJhdGUgbGltaXRlZBo2Cih0eXBlLmdvb2dsZWFwaXMuY29tL2dvb2dsZS5ycGMuUmV0cnlJbmZvEgoKCAgBEIDKte4B"
        );
        assert_eq!(
            details(14, "overloaded", Some(Duration::from_millis(250)), None),
            "CA4SCm92ZXJsb2FkZWQaMwoodHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLlJldHJ5SW5mbxIHCgUQgOWadw"
        );
        let violation = Violation {
            subject: "client:alice",
            description: "per-minute quota exceeded",
            quota_id: "perminute",
            quota_value: 100,
        };
        assert_eq!(
            details(
                8,
                "rate limited",
                Some(Duration::from_secs(20)),
                Some(&violation)
            ),
            "CAgSDHJhdGUgbGltaXRlZBowCih0eXBlLmdvb2dsZWFwaXMuY29tL2dvb2dsZS5ycGMuUmV0cnlJbmZvEgQKAggUGmcKK3R5cGUuZ29vZ2xlYXBpcy5jb20vZ29vZ2xlLnJwYy5RdW90YUZhaWx1cmUSOAo2CgxjbGllbnQ6YWxpY2USGXBlci1taW51dGUgcXVvdGEgZXhjZWVkZWQqCXBlcm1pbnV0ZThk"
        );
    }
}
