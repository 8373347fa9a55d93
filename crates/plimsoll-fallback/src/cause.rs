//! Why an answer was substituted.

use std::convert::Infallible;

use http::response::Parts;
use plimsoll_core::{Class, Rejection};

/// Why a substitute is asked for: what a handler is given.
///
/// `E` is the error of the inner service: `Cause` alone is right for axum and other services that cannot fail.
#[derive(Debug)]
#[non_exhaustive]
pub enum Cause<E = Infallible> {
    /// A policy refused, of this gate or of one further in. The service has not run.
    Rejected(Rejection),
    /// The service answered, and the answer is a failure.
    Failed(Failed),
    /// The service returned an error.
    Error(E),
}

/// An answer that is being replaced. Its body is gone.
#[derive(Debug)]
#[non_exhaustive]
pub struct Failed {
    /// [`Class::Failure`] or [`Class::Overloaded`].
    pub class: Class,
    /// Status, headers and extensions.
    pub head: Parts,
}

/// Found in the extensions of substituted answers: what the client was spared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Degraded {
    /// A refusal.
    Rejected(Rejection),
    /// A failure, with this status.
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
