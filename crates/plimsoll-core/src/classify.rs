//! Maps an HTTP or gRPC answer to a [`Class`], once for every policy of a gate.

use http::{HeaderMap, HeaderName, StatusCode};

use crate::Class;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// Classifies an HTTP answer, at its head and at its end.
///
/// A closure `Fn(StatusCode, &HeaderMap) -> Class` classifies the head and keeps the default of the
/// other methods.
///
/// An answer whose extensions hold a [`Rejection`](crate::Rejection) is not shown to the
/// classifier: an inner gate made it, and its class is [`Class::Rejected`].
#[doc(alias("failure"))]
pub trait Classify: Send + Sync + 'static {
    /// Classifies status and headers, before the body.
    fn head(&self, status: StatusCode, headers: &HeaderMap) -> Class;

    /// Classifies the final metadata: the trailers, or the head when there is no body.
    ///
    /// By default a `grpc-status` is classified as [`ServerClassifier`] does. Without one the class
    /// of the head stays.
    fn end(&self, head: Class, metadata: &HeaderMap) -> Class {
        match grpc_status(metadata) {
            Some(code) => grpc_class(code, Side::Server),
            None => head,
        }
    }

    /// Classifies a body that ended with an error.
    fn body_error(&self, head: Class) -> Class {
        _ = head;
        Class::Failure
    }

    /// Classifies an error that the service returned instead of a response.
    fn service_error(&self) -> Class {
        Class::Failure
    }
}

/// Classifies the answers of this service, for gates in front of its handlers. Default of
/// [`Http::new`](crate::Http::new).
///
/// | answer | class |
/// |---|---|
/// | 1xx, 2xx, 3xx | success |
/// | 503 | overloaded |
/// | 4xx, 429 included | ignored: caused by the caller |
/// | other 5xx | failure |
/// | `grpc-status` 0 | success |
/// | 14 `UNAVAILABLE` | overloaded |
/// | 2 `UNKNOWN`, 4 `DEADLINE_EXCEEDED`, 13 `INTERNAL`, 15 `DATA_LOSS`, unreadable | failure |
/// | 1 `CANCELLED` | cancelled |
/// | other codes, 8 `RESOURCE_EXHAUSTED` included | ignored |
///
/// A 429 of the application concerns one caller. It does not mean that the service is overloaded.
#[derive(Debug, Clone, Copy, Default)]
pub struct ServerClassifier;

/// Classifies the answers of a callee, for gates around a client. Default of
/// [`Http::client`](crate::Http::client).
///
/// As [`ServerClassifier`], except:
///
/// | answer | class |
/// |---|---|
/// | 408 (usual answer of a timeout layer) | failure |
/// | 429, `grpc-status` 8 `RESOURCE_EXHAUSTED` | overloaded: the callee asks for fewer calls |
#[derive(Debug, Clone, Copy, Default)]
pub struct ClientClassifier;

/// The side of the connection that a classifier is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Server,
    Client,
}

impl Classify for ServerClassifier {
    #[inline]
    fn head(&self, status: StatusCode, _: &HeaderMap) -> Class {
        status_class(status, Side::Server)
    }
}

impl Classify for ClientClassifier {
    #[inline]
    fn head(&self, status: StatusCode, _: &HeaderMap) -> Class {
        status_class(status, Side::Client)
    }

    fn end(&self, head: Class, metadata: &HeaderMap) -> Class {
        match grpc_status(metadata) {
            Some(code) => grpc_class(code, Side::Client),
            None => head,
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

#[inline]
fn status_class(status: StatusCode, side: Side) -> Class {
    match status.as_u16() {
        ..400 => Class::Success,
        408 if side == Side::Client => Class::Failure,
        429 if side == Side::Client => Class::Overloaded,
        400..500 => Class::Ignored,
        503 => Class::Overloaded,
        _ => Class::Failure,
    }
}

fn grpc_status(metadata: &HeaderMap) -> Option<&[u8]> {
    Some(metadata.get(GRPC_STATUS)?.as_bytes())
}

fn grpc_class(code: &[u8], side: Side) -> Class {
    match code {
        b"0" => Class::Success,
        b"1" => Class::Cancelled,
        b"14" => Class::Overloaded,
        b"8" if side == Side::Client => Class::Overloaded,
        b"3" | b"5" | b"6" | b"7" | b"8" | b"9" | b"10" | b"11" | b"12" | b"16" => Class::Ignored,
        _ => Class::Failure,
    }
}
