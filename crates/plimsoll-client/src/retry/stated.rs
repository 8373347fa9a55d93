//! The deadline that a request states, and the headers of its retries.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use plimsoll_core::{
    Deadline,
    support::{grpc_timeout, parse_grpc_timeout, parse_millis},
    wire::TIMEOUT,
};
use tokio::time::Instant;

use crate::request::ReplayRequest;

const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
const GRPC_ATTEMPTS: HeaderName = HeaderName::from_static("grpc-previous-rpc-attempts");

/// Where a request states its deadline.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Stated {
    /// The call is gRPC.
    pub(super) is_grpc: bool,
    grpc_timeout: bool,
    timeout: bool,
}

/// Reads the earliest of the deadlines that a request states. Calls `now` only if there is one.
#[inline]
pub(super) fn deadline<Req: ReplayRequest>(
    req: &Req,
    now: impl Fn() -> Instant,
) -> (Option<Instant>, Stated) {
    let mut stated = Stated::default();
    let set = req.extensions().filter(|extensions| !extensions.is_empty());
    let set = set.and_then(|extensions| extensions.get::<Deadline>());
    let mut deadline = set.map(|deadline| deadline.0);
    let headers = req.headers();
    // Performance: a request without headers states nothing.
    if headers.is_empty() {
        return (deadline, stated);
    }
    let mut earliest = |timeout: Duration| {
        let at = now().checked_add(timeout);
        deadline = [deadline, at].into_iter().flatten().min();
    };
    stated.is_grpc = is_grpc(req.method(), headers);
    if stated.is_grpc {
        let timeout = headers.get(GRPC_TIMEOUT);
        if let Some(timeout) = timeout.and_then(|value| parse_grpc_timeout(value.as_bytes())) {
            stated.grpc_timeout = true;
            earliest(timeout);
        }
    }
    let timeout = headers.get(TIMEOUT);
    if let Some(timeout) = timeout.and_then(|value| parse_millis(value.as_bytes())) {
        stated.timeout = true;
        earliest(timeout);
    }
    (deadline, stated)
}

#[inline]
fn is_grpc(method: &Method, headers: &HeaderMap) -> bool {
    let is = |value: &HeaderValue| value.as_bytes().starts_with(b"application/grpc");
    *method == Method::POST && headers.get(http::header::CONTENT_TYPE).is_some_and(is)
}

impl Stated {
    pub(super) fn is_any(self) -> bool {
        self.is_grpc || self.grpc_timeout || self.timeout
    }

    /// Writes the headers of a retry: the time left, and the number of earlier attempts.
    pub(super) fn write(
        self,
        headers: &mut HeaderMap,
        left: Option<Duration>,
        earlier: u32,
        attempt_header: Option<&HeaderName>,
    ) {
        if let Some(left) = left {
            if self.grpc_timeout {
                if let Some(value) = grpc_timeout(left) {
                    headers.insert(GRPC_TIMEOUT, value);
                }
            }
            if self.timeout {
                let millis = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
                headers.insert(TIMEOUT, HeaderValue::from(millis));
            }
        }
        if self.is_grpc {
            headers.insert(GRPC_ATTEMPTS, HeaderValue::from(earlier));
        } else if let Some(name) = attempt_header {
            headers.insert(name, HeaderValue::from(earlier));
        }
    }
}
