//! Requests, and the baselines of the cases that send them.

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use plimsoll_core::{Criticality, Priority};

/// The body of every request.
pub type Empty = Full<Bytes>;

/// Makes a request.
pub type Make = fn() -> Request<Empty>;

/// The baseline of a case: the bare service with the same request and the same kind of body.
#[derive(Debug, Clone, Copy)]
pub struct Base {
    /// The name of the bare service's case.
    pub bare: &'static str,
    /// The name of the case in which the request is only made and dropped.
    pub unsent: &'static str,
    /// Makes the request.
    pub request: Make,
}

/// A request without headers.
pub(super) fn plain() -> Request<Empty> {
    Request::new(Empty::default())
}

/// A request that the bare service never answers: the permits on its way stay held. It has the top
/// priority, so that no other request evicts it from a queue.
pub(super) fn endless() -> Request<Empty> {
    let mut request = plain();
    request
        .extensions_mut()
        .insert(Priority::new(Criticality::CriticalPlus));
    *request.method_mut() = Method::TRACE;
    request
}
