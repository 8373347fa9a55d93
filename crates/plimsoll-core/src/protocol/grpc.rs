//! A rejection as a gRPC status: Trailers-Only, with `google.rpc.RetryInfo` and pushback.
//!
//! Trailers-Only, because a client that has seen response headers may not retry any more (gRFC A6).

use std::time::Duration;

use ::http::{HeaderMap, HeaderName, HeaderValue, Response, header::CONTENT_TYPE};
use base64::{Engine as _, prelude::BASE64_STANDARD_NO_PAD};
use bytes::Bytes;

use super::refusal::{REFUSED_BY, decimal};
use crate::{Kind, Rejection};

pub(super) const DEADLINE_EXCEEDED: u8 = 4;
pub(super) const RESOURCE_EXHAUSTED: u8 = 8;
pub(super) const UNAVAILABLE: u8 = 14;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
const GRPC_PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");
/// Any negative number tells a client not to retry.
const DO_NOT_RETRY: HeaderValue = HeaderValue::from_static("-1");
const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

/// The response that says no in gRPC's words.
pub(super) fn refusal(
    code: u8,
    rejection: &Rejection,
    hint: Option<Duration>,
    content_type: HeaderValue,
    policy_name: Option<HeaderValue>,
) -> Response<Bytes> {
    let message = message(rejection.kind());
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(GRPC_STATUS, decimal(code.into()));
    headers.insert(GRPC_MESSAGE, HeaderValue::from_static(message));
    match (hint, rejection.kind()) {
        (Some(wait), _) => {
            headers.insert(GRPC_PUSHBACK, decimal(pushback_millis(wait)));
            if let Ok(details) = HeaderValue::try_from(details(code, message, wait)) {
                headers.insert(GRPC_DETAILS, details);
            }
        }
        (None, Kind::Full | Kind::CircuitOpen) => {}
        // No wait would help: over a quota for good, too late, or left out on purpose.
        (None, _) => {
            headers.insert(GRPC_PUSHBACK, DO_NOT_RETRY);
        }
    }
    if let Some(name) = policy_name {
        headers.insert(REFUSED_BY, name);
    }
    let mut response = Response::new(Bytes::new());
    *response.headers_mut() = headers;
    response
}

/// The status message. Nothing in it needs percent-encoding.
const fn message(kind: Kind) -> &'static str {
    match kind {
        Kind::OverQuota => "quota exceeded",
        Kind::Full => "overloaded",
        Kind::CircuitOpen => "circuit open",
        Kind::Deadline => "deadline cannot be met",
        Kind::Skipped => "left out by sampling",
    }
}

/// Milliseconds, rounded up, within the signed 32 bits that clients read.
fn pushback_millis(wait: Duration) -> u64 {
    let millis = wait.as_nanos().div_ceil(1_000_000);
    u64::try_from(millis)
        .unwrap_or(u64::MAX)
        .min(i32::MAX as u64)
}

/// `google.rpc.Status { code, message, details: [RetryInfo { retry_delay }] }`, serialised and in base64
/// without padding, as `-bin` metadata wants it.
fn details(code: u8, message: &str, wait: Duration) -> String {
    let mut delay = Vec::with_capacity(16);
    varint_field(&mut delay, 1, wait.as_secs());
    varint_field(&mut delay, 2, wait.subsec_nanos().into());
    let mut retry_info = Vec::with_capacity(20);
    bytes_field(&mut retry_info, 1, &delay);
    let mut any = Vec::with_capacity(72);
    bytes_field(&mut any, 1, RETRY_INFO.as_bytes());
    bytes_field(&mut any, 2, &retry_info);
    let mut status = Vec::with_capacity(112);
    varint_field(&mut status, 1, code.into());
    bytes_field(&mut status, 2, message.as_bytes());
    bytes_field(&mut status, 3, &any);
    BASE64_STANDARD_NO_PAD.encode(status)
}

/// A protobuf field of wire type 0; zero is the default and not written.
fn varint_field(to: &mut Vec<u8>, field: u8, value: u64) {
    if value > 0 {
        to.push(field << 3);
        varint(to, value);
    }
}

/// A protobuf field of wire type 2.
fn bytes_field(to: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    to.push(field << 3 | 2);
    varint(to, bytes.len() as u64);
    to.extend_from_slice(bytes);
}

fn varint(to: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        to.push(value as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes checked with protoc.
    #[test]
    fn details_match_the_golden_bytes() {
        assert_eq!(
            details(
                RESOURCE_EXHAUSTED,
                "rate limited",
                Duration::from_millis(1500)
            ),
            "CAgSDHJhdGUgbGltaXRlZBo2Cih0eXBlLmdvb2dsZWFwaXMuY29tL2dvb2dsZS5ycGMuUmV0cnlJbmZvEgoKCAgBEIDKte4B"
        );
        assert_eq!(
            details(UNAVAILABLE, "overloaded", Duration::from_millis(250)),
            "CA4SCm92ZXJsb2FkZWQaMwoodHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLlJldHJ5SW5mbxIHCgUQgOWadw"
        );
    }

    #[test]
    fn pushback_is_rounded_up_and_fits_what_clients_read() {
        assert_eq!(pushback_millis(Duration::from_micros(1)), 1);
        assert_eq!(pushback_millis(Duration::from_millis(250)), 250);
        assert_eq!(pushback_millis(Duration::MAX), 2_147_483_647);
    }
}
