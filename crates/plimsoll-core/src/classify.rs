//! Turns an HTTP or gRPC answer into a [`Class`]: said once, used by every policy.

use http::{HeaderMap, HeaderName, StatusCode};

use crate::Class;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// Tells the class of an HTTP answer, in the two moments at which it shows.
///
/// A closure `Fn(StatusCode, &HeaderMap) -> Class` decides on the head and keeps the rest as it is.
pub trait Classify: Send + Sync + 'static {
    /// The class so far: status and headers are here, the body is to come.
    fn head(&self, status: StatusCode, headers: &HeaderMap) -> Class;

    /// The final metadata is here: trailers, or the head itself when there is no body. By default a `grpc-status`
    /// in it decides, and otherwise the head's class stands.
    fn end(&self, head: Class, metadata: &HeaderMap) -> Class {
        match metadata.get(GRPC_STATUS) {
            Some(code) => grpc_class(code.as_bytes()),
            None => head,
        }
    }

    /// The body broke off with an error.
    fn body_error(&self, head: Class) -> Class {
        _ = head;
        Class::Failure
    }

    /// The service answered with an error instead of a response.
    fn service_error(&self) -> Class {
        Class::Failure
    }
}

/// By status and `grpc-status`, as servers mean them. The default.
///
/// | answer | class |
/// |---|---|
/// | 1xx, 2xx, 3xx | success |
/// | 429, 503 | overloaded |
/// | other 4xx | ignored: the caller's doing |
/// | other 5xx | failure |
/// | `grpc-status` 0 | success |
/// | 8 `RESOURCE_EXHAUSTED`, 14 `UNAVAILABLE` | overloaded |
/// | 2 `UNKNOWN`, 4 `DEADLINE_EXCEEDED`, 13 `INTERNAL`, 15 `DATA_LOSS`, unreadable | failure |
/// | 1 `CANCELLED` | cancelled |
/// | the others | ignored |
#[derive(Debug, Clone, Copy, Default)]
pub struct ByStatus;

impl Classify for ByStatus {
    #[inline]
    fn head(&self, status: StatusCode, _: &HeaderMap) -> Class {
        match status.as_u16() {
            ..400 => Class::Success,
            429 | 503 => Class::Overloaded,
            400..500 => Class::Ignored,
            _ => Class::Failure,
        }
    }
}

impl<F> Classify for F
where
    F: Fn(StatusCode, &HeaderMap) -> Class + Send + Sync + 'static,
{
    #[inline]
    fn head(&self, status: StatusCode, headers: &HeaderMap) -> Class {
        self(status, headers)
    }
}

/// The class of a `grpc-status` value.
fn grpc_class(code: &[u8]) -> Class {
    match code {
        b"0" => Class::Success,
        b"1" => Class::Cancelled,
        b"8" | b"14" => Class::Overloaded,
        b"3" | b"5" | b"6" | b"7" | b"9" | b"10" | b"11" | b"12" | b"16" => Class::Ignored,
        _ => Class::Failure,
    }
}
