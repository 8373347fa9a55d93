//! A rejection as a gRPC status: Trailers-Only, with `google.rpc` details and pushback.
//!
//! Trailers-Only, because gRPC clients must not retry after they have seen response headers (gRFC
//! A6).

use std::time::Duration;

use ::http::{
    HeaderMap, HeaderName, HeaderValue, Response,
    header::{CACHE_CONTROL, CONTENT_TYPE},
};
use bytes::Bytes;

use super::{
    details::{Violation, details},
    headers::{NO_STORE, REFUSED_BY, threshold},
    hint::hint,
};
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
/// Returns whether these are the headers of a gRPC response.
pub(in crate::protocol) fn is_grpc(headers: &HeaderMap) -> bool {
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
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(CACHE_CONTROL, NO_STORE);
    write_status(
        &mut headers,
        code,
        message(rejection.kind()),
        rejection,
        asked,
    );
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

/// Writes the code, the message, when to retry, and the details. The message must not need
/// percent-encoding.
pub(super) fn write_status(
    headers: &mut HeaderMap,
    code: u8,
    message: &'static str,
    rejection: &Rejection,
    asked: &HeaderMap,
) {
    headers.insert(GRPC_STATUS, decimal(code.into()));
    headers.insert(GRPC_MESSAGE, HeaderValue::from_static(message));
    let hint = hint(rejection, whole_millis, 1000);
    if let Some(pushback) = pushback(hint, rejection.kind(), asked) {
        headers.insert(GRPC_PUSHBACK, pushback);
    }
    let violation = violation(rejection);
    if hint.is_some() || violation.is_some() {
        let wait = hint.map(Duration::from_millis);
        let details = details(code, message, wait, violation.as_ref());
        if let Ok(details) = HeaderValue::try_from(details) {
            headers.insert(GRPC_DETAILS, details);
        }
    }
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

/// Returns the violated quota by name, if the policy set it. The subject does not name the caller,
/// so that keys do not leak to services further down.
fn violation(rejection: &Rejection) -> Option<Violation<'static>> {
    let quota = rejection.allowance()?;
    let named = rejection.kind() == Kind::OverQuota && Allowance::is_name(quota.name);
    named.then_some(Violation {
        subject: "caller",
        description: message(Kind::OverQuota),
        quota_id: quota.name,
        quota_value: quota.limit.min(i64::MAX as u64),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
