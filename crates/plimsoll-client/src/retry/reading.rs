//! What an answer or an error means for a retry. Pure.

use std::{error::Error, io};

use http::{
    Extensions, HeaderMap, HeaderName, StatusCode,
    header::{CONTENT_TYPE, HeaderValue},
};
use plimsoll_core::{Kind, PlainError, Rejection, wire::REJECTED_BY};

use super::rules::Rules;
use crate::RetryHint;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const DEADLINE_EXCEEDED: u32 = 4;

/// What the end of an attempt means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// The callee worked; pays for retries.
    Success,
    /// Neither a success nor something that a retry could change.
    Final,
    /// May be retried.
    Failed(Failed),
}

/// How an attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Failed {
    pub(super) ran: Ran,
    pub(super) hint: RetryHint,
}

/// Whether the callee may have run the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ran {
    /// Maybe: only idempotent requests are sent again.
    Maybe,
    /// No connection was made.
    NotSent,
    /// A gate of the callee rejected it.
    Rejected,
    /// A gate in this process rejected it.
    Here,
    /// An open circuit in this process.
    CircuitOpen,
}

impl Ran {
    /// Whether it is safe to send the request again, whatever its method.
    pub(super) fn is_safe(self) -> bool {
        self != Self::Maybe
    }

    /// Whether a gate rejected it, so that a retry costs no budget.
    pub(super) fn is_free(self) -> bool {
        matches!(self, Self::Rejected | Self::Here | Self::CircuitOpen)
    }
}

/// Whether an answer is a success without headers and extensions that have to be read.
#[inline]
pub(super) fn is_plain_success(
    status: StatusCode,
    headers: &HeaderMap,
    extensions: &Extensions,
) -> bool {
    // Performance: 200 is the usual status.
    (status == StatusCode::OK || is_success(status)) && headers.is_empty() && extensions.is_empty()
}

#[inline]
fn is_success(status: StatusCode) -> bool {
    status.as_u16() < 400 && status != StatusCode::ACCEPTED
}

/// Reads the head of an answer. `None` when the trailers decide.
pub(super) fn head(
    rules: &Rules,
    status: StatusCode,
    headers: &HeaderMap,
    extensions: &Extensions,
) -> Option<Reading> {
    if let Some(rejection) = extensions.get::<Rejection>() {
        return Some(rejected_here(rules, rejection));
    }
    if is_grpc(headers) {
        return grpc_head(rules, status, headers);
    }
    if is_success(status) {
        return Some(Reading::Success);
    }
    Some(http(rules, status, headers))
}

/// Reads the end of a gRPC call whose head did not decide.
pub(super) fn end(
    rules: &Rules,
    status: StatusCode,
    headers: &HeaderMap,
    trailers: Option<&HeaderMap>,
) -> Reading {
    let status_in = |metadata: &HeaderMap| metadata.contains_key(GRPC_STATUS);
    match trailers.filter(|trailers| status_in(trailers)) {
        Some(trailers) => grpc(rules, trailers),
        // A body without an end, or longer than the limit: decided by the head.
        None => http(rules, status, headers),
    }
}

/// Reads an error of the inner service.
#[cold]
pub(super) fn error(rules: &Rules, error: &(dyn Error + 'static)) -> Reading {
    if let Some(rejection) = PlainError::rejection_in(error) {
        return rejected_here(rules, rejection);
    }
    let ran = if is_unsent(error) {
        Ran::NotSent
    } else {
        Ran::Maybe
    };
    match &rules.errors {
        Some(retries) if !retries(error) => Reading::Final,
        _ => Reading::Failed(Failed {
            ran,
            hint: RetryHint::None,
        }),
    }
}

fn rejected_here(rules: &Rules, rejection: &Rejection) -> Reading {
    let hint = RetryHint::rejection(rejection, rules.longest_hint);
    let ran = match rejection.kind() {
        Kind::CircuitOpen => Ran::CircuitOpen,
        _ => Ran::Here,
    };
    match hint {
        RetryHint::Never => Reading::Final,
        _ => Reading::Failed(Failed { ran, hint }),
    }
}

#[inline]
fn is_grpc(headers: &HeaderMap) -> bool {
    let is = |value: &HeaderValue| value.as_bytes().starts_with(b"application/grpc");
    headers.get(CONTENT_TYPE).is_some_and(is)
}

fn grpc_head(rules: &Rules, status: StatusCode, headers: &HeaderMap) -> Option<Reading> {
    if headers.contains_key(GRPC_STATUS) {
        return Some(grpc(rules, headers));
    }
    if status != StatusCode::OK {
        return Some(http(rules, status, headers));
    }
    // The call is still running: decided by its trailers, or committed.
    rules.unary_limit.is_none().then_some(Reading::Success)
}

#[cold]
fn http(rules: &Rules, status: StatusCode, headers: &HeaderMap) -> Reading {
    let rejected = headers.contains_key(REJECTED_BY);
    if status.as_u16() < 400 {
        // A sampler of the callee left the request out.
        return if rejected {
            Reading::Final
        } else {
            Reading::Success
        };
    }
    // A deadline that could not be met is not met later.
    if rejected && status == StatusCode::GATEWAY_TIMEOUT {
        return Reading::Final;
    }
    if !rejected && !rules.retries_status(status) {
        return Reading::Final;
    }
    Reading::Failed(Failed {
        ran: if rejected { Ran::Rejected } else { Ran::Maybe },
        hint: RetryHint::http(headers, rules.longest_hint),
    })
}

/// Reads metadata with a `grpc-status`.
fn grpc(rules: &Rules, metadata: &HeaderMap) -> Reading {
    let code = code(metadata);
    if code == Some(0) {
        return Reading::Success;
    }
    let rejected = metadata.contains_key(REJECTED_BY);
    let retried = code.is_some_and(|code| rules.retries_code(code));
    let hint = RetryHint::grpc(metadata, rules.longest_hint);
    // gRFC A6: a pushback that forbids retries counts as a failure, whatever the code.
    if hint != RetryHint::Never && !retried && !(rejected && code != Some(DEADLINE_EXCEEDED)) {
        return Reading::Final;
    }
    Reading::Failed(Failed {
        ran: if rejected { Ran::Rejected } else { Ran::Maybe },
        hint,
    })
}

fn code(metadata: &HeaderMap) -> Option<u32> {
    metadata.get(GRPC_STATUS)?.to_str().ok()?.parse().ok()
}

/// Whether no connection was made, as the operating system reports it.
fn is_unsent(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        #[cfg(feature = "reqwest")]
        if error
            .downcast_ref::<reqwest::Error>()
            .is_some_and(reqwest::Error::is_connect)
        {
            return true;
        }
        if let Some(error) = error.downcast_ref::<io::Error>() {
            if matches!(
                error.kind(),
                io::ErrorKind::ConnectionRefused
                    | io::ErrorKind::HostUnreachable
                    | io::ErrorKind::NetworkUnreachable
                    | io::ErrorKind::AddrNotAvailable
            ) {
                return true;
            }
        }
        cause = error.source();
    }
    false
}
