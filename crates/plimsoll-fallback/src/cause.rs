//! The cause of a substitution.

use std::convert::Infallible;

use http::response::Parts;
use plimsoll_core::{Class, Rejection};

/// The reason for a substitute, passed to a handler.
///
/// `E` is the error of the inner service: `Cause` alone is right for axum and other services
/// without errors.
#[derive(Debug)]
#[non_exhaustive]
pub enum Cause<E = Infallible> {
    /// A policy of this gate or of an inner gate rejected the request. The service has not run.
    Rejected(Rejection),
    /// The service answered with a failure.
    Failed(Failed),
    /// The service returned an error.
    Error(E),
}

/// An answer that is being replaced. Its body has been dropped, unless the handler may decline.
#[derive(Debug)]
#[non_exhaustive]
pub struct Failed {
    /// [`Class::Failure`] or [`Class::Overloaded`].
    pub class: Class,
    /// Status, headers and extensions.
    pub head: Parts,
}

/// The cause of a substitution, in the extensions of the substitute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Degraded {
    /// A rejection.
    Rejected(Rejection),
    /// A failure with this status.
    Failed(http::StatusCode),
    /// An error.
    Error,
}

impl<E> Cause<E> {
    pub(crate) fn degraded(&self) -> Degraded {
        match self {
            Self::Rejected(rejection) => Degraded::Rejected(*rejection),
            Self::Failed(failed) => Degraded::Failed(failed.head.status),
            Self::Error(_) => Degraded::Error,
        }
    }
}
