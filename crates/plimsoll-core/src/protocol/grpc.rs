//! A rejection as a gRPC status: Trailers-Only, with `google.rpc` details and pushback.
//!
//! Trailers-Only, because gRPC clients must not retry after they have seen response headers (gRFC
//! A6).

use std::time::Duration;

use ::http::{
    HeaderMap, HeaderName, HeaderValue, Response,
    header::{CACHE_CONTROL, CONTENT_TYPE},
};
use base64::{Engine as _, prelude::BASE64_STANDARD_NO_PAD};
use bytes::Bytes;

use super::refusal::{NO_STORE, REFUSED_BY, hint, threshold};
use crate::{
    Allowance, Kind, Rejection,
    deadline::{GRPC_TIMEOUT, parse_grpc_timeout},
    decimal::decimal,
    wire::THRESHOLD,
};

pub(super) const DEADLINE_EXCEEDED: u8 = 4;
pub(super) const RESOURCE_EXHAUSTED: u8 = 8;
pub(super) const UNAVAILABLE: u8 = 14;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
const GRPC_PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");
/// Any negative number stops a client from retrying.
const DO_NOT_RETRY: HeaderValue = HeaderValue::from_static("-1");
const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";
const QUOTA_FAILURE: &str = "type.googleapis.com/google.rpc.QuotaFailure";

/// Returns whether these are the headers of a gRPC response.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

/// Builds the gRPC rejection.
pub(super) fn refusal(
    code: u8,
    rejection: &Rejection,
    asked: &HeaderMap,
    content_type: HeaderValue,
    policy_name: Option<HeaderValue>,
) -> Response<Bytes> {
    let message = message(rejection.kind());
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(CACHE_CONTROL, NO_STORE);
    headers.insert(GRPC_STATUS, decimal(code.into()));
    headers.insert(GRPC_MESSAGE, HeaderValue::from_static(message));
    let hint = hint(rejection, whole_millis, 1000);
    if let Some(pushback) = pushback(hint, rejection.kind(), asked) {
        headers.insert(GRPC_PUSHBACK, pushback);
    }
    let violation = Violation::of(rejection);
    if hint.is_some() || violation.is_some() {
        let wait = hint.map(Duration::from_millis);
        let details = details(code, message, wait, violation.as_ref());
        if let Ok(details) = HeaderValue::try_from(details) {
            headers.insert(GRPC_DETAILS, details);
        }
    }
    if let Some(name) = policy_name {
        headers.insert(REFUSED_BY, name);
    }
    if let Some(level) = threshold(rejection) {
        headers.insert(THRESHOLD, level);
    }
    let mut response = Response::new(Bytes::new());
    *response.headers_mut() = headers;
    response
}

/// Returns the status message, which needs no percent-encoding.
const fn message(kind: Kind) -> &'static str {
    match kind {
        Kind::OverQuota => "quota exceeded",
        Kind::Full => "overloaded",
        Kind::CircuitOpen => "circuit open",
        Kind::Deadline => "deadline cannot be met",
        Kind::Skipped => "left out by sampling",
    }
}

/// Rounds up to milliseconds.
fn whole_millis(wait: Duration) -> u64 {
    let below_a_second = wait.subsec_nanos().div_ceil(1_000_000);
    wait.as_secs()
        .saturating_mul(1000)
        .saturating_add(below_a_second.into())
}

/// Returns the pushback for the caller's gRPC library; `None` leaves retries to its own backoff.
///
/// If the `grpc-timeout` is no longer than the wait, the pushback forbids a retry: a library would
/// wait until the deadline, and report that instead of the rejection.
fn pushback(hint: Option<u64>, kind: Kind, asked: &HeaderMap) -> Option<HeaderValue> {
    let Some(millis) = hint else {
        // Retrying does not help: over a quota for good, too late, or left out on purpose.
        let is_useless = !matches!(kind, Kind::Full | Kind::CircuitOpen);
        return is_useless.then_some(DO_NOT_RETRY);
    };
    let timeout = asked
        .get(GRPC_TIMEOUT)
        .and_then(|timeout| parse_grpc_timeout(timeout.as_bytes()));
    let in_time = timeout.is_none_or(|timeout| Duration::from_millis(millis) < timeout);
    Some(if in_time {
        // Clients read a signed 32-bit number.
        decimal(millis.min(i32::MAX as u64))
    } else {
        DO_NOT_RETRY
    })
}

/// A violation of `google.rpc.QuotaFailure`.
struct Violation<'a> {
    subject: &'a str,
    description: &'a str,
    quota_id: &'a str,
    quota_value: u64,
}

impl Violation<'static> {
    /// The violated quota by name, if the policy set it. The subject does not name the caller, so
    /// that keys do not leak to services further down.
    fn of(rejection: &Rejection) -> Option<Self> {
        let quota = rejection.allowance()?;
        let named = rejection.kind() == Kind::OverQuota && Allowance::is_name(quota.name);
        named.then_some(Self {
            subject: "caller",
            description: message(Kind::OverQuota),
            quota_id: quota.name,
            quota_value: quota.limit.min(i64::MAX as u64),
        })
    }
}

/// Builds
/// `google.rpc.Status { code, message, details: [RetryInfo { retry_delay }, QuotaFailure { violations }] }`,
/// serialised and in base64 without padding, as `-bin` metadata requires.
fn details(
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
            details(
                RESOURCE_EXHAUSTED,
                "rate limited",
                Some(Duration::from_millis(1500)),
                None
            ),
            "CAgSDHJhdGUgbGltaXRlZBo2Cih0eXBlLmdvb2dsZWFwaXMuY29tL2dvb2dsZS5ycGMuUmV0cnlJbmZvEgoKCAgBEIDKte4B"
        );
        assert_eq!(
            details(
                UNAVAILABLE,
                "overloaded",
                Some(Duration::from_millis(250)),
                None
            ),
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
                RESOURCE_EXHAUSTED,
                "rate limited",
                Some(Duration::from_secs(20)),
                Some(&violation)
            ),
            "CAgSDHJhdGUgbGltaXRlZBowCih0eXBlLmdvb2dsZWFwaXMuY29tL2dvb2dsZS5ycGMuUmV0cnlJbmZvEgQKAggUGmcKK3R5cGUuZ29vZ2xlYXBpcy5jb20vZ29vZ2xlLnJwYy5RdW90YUZhaWx1cmUSOAo2CgxjbGllbnQ6YWxpY2USGXBlci1taW51dGUgcXVvdGEgZXhjZWVkZWQqCXBlcm1pbnV0ZThk"
        );
    }

    #[test]
    fn milliseconds_are_rounded_up() {
        for (wait, millis) in [
            (Duration::ZERO, 0),
            (Duration::from_nanos(1), 1),
            (Duration::from_millis(250), 250),
            (Duration::from_micros(250_001), 251),
            (Duration::from_nanos(1_999_999_999), 2000),
            (Duration::MAX, u64::MAX),
        ] {
            assert_eq!(whole_millis(wait), millis, "{wait:?}");
        }
    }
}
