//! Any Tower service that is not HTTP.

use std::{error::Error, fmt};

use super::{Answer, Never, Protocol};
use crate::{Class, Hold, Rejection};

/// For Tower services that do not speak HTTP: a refusal is an error, and a call is over when its future is.
///
/// An `Ok` is a success and an `Err` a failure, unless [`classify`](Plain::classify) says otherwise.
#[derive(Clone, Copy)]
pub struct Plain<C = ()> {
    classify: C,
}

impl Plain {
    /// `Ok` is a success, `Err` a failure.
    pub const fn new() -> Self {
        Self { classify: () }
    }

    /// Classifies results with a closure.
    ///
    /// ```
    /// use plimsoll_core::{Class, Plain};
    /// let plain = Plain::new().classify(|result: Result<&String, &std::io::Error>| match result {
    ///     Ok(_) => Class::Success,
    ///     Err(e) if e.kind() == std::io::ErrorKind::NotFound => Class::Ignored,
    ///     Err(_) => Class::Failure,
    /// });
    /// # let _ = plain;
    /// ```
    pub fn classify<Res, E, F: Fn(Result<&Res, &E>) -> Class>(self, classify: F) -> Plain<F> {
        Plain { classify }
    }
}

impl Default for Plain {
    fn default() -> Self {
        Self::new()
    }
}

impl<C> fmt::Debug for Plain<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Plain")
    }
}

/// Tells the class of a plain result. `()` is the default, a closure the alternative.
pub trait ClassifyPlain<Res, E>: Send + Sync + 'static {
    /// The class of this result.
    fn class(&self, result: Result<&Res, &E>) -> Class;
}

impl<Res, E> ClassifyPlain<Res, E> for () {
    #[inline]
    fn class(&self, result: Result<&Res, &E>) -> Class {
        match result {
            Ok(_) => Class::Success,
            Err(_) => Class::Failure,
        }
    }
}

impl<Res, E, F> ClassifyPlain<Res, E> for F
where
    F: Fn(Result<&Res, &E>) -> Class + Send + Sync + 'static,
{
    #[inline]
    fn class(&self, result: Result<&Res, &E>) -> Class {
        self(result)
    }
}

/// The error of a gate that speaks [`Plain`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PlainError<E> {
    /// A policy refused; the inner service was not called.
    Rejected(Rejection),
    /// The inner service's own error.
    Inner(E),
}

impl<E> PlainError<E> {
    /// The refusal, if it was one.
    pub const fn rejection(&self) -> Option<&Rejection> {
        match self {
            Self::Rejected(rejection) => Some(rejection),
            Self::Inner(_) => None,
        }
    }
}

impl<E: fmt::Display> fmt::Display for PlainError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(rejection) => rejection.fmt(f),
            Self::Inner(error) => error.fmt(f),
        }
    }
}

impl<E: Error + 'static> Error for PlainError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Rejected(rejection) => Some(rejection),
            Self::Inner(error) => error.source(),
        }
    }
}

impl<Req, Res, E, C: ClassifyPlain<Res, E>> Protocol<Req, Res, E> for Plain<C> {
    type Call = ();
    type Response<H: Hold<Protocol = Self>> = Res;
    type Error = PlainError<E>;
    type Later<H: Hold<Protocol = Self>> = Never<Result<Res, PlainError<E>>>;

    #[inline]
    fn begin(&self, _: &Req) {}

    #[inline]
    fn refuse<H: Hold<Protocol = Self>>(
        &self,
        (): (),
        _: &Req,
        rejection: &Rejection,
    ) -> Answer<Result<Res, Self::Error>, Self::Later<H>> {
        Answer::Now(Err(PlainError::Rejected(*rejection)))
    }

    #[inline]
    fn complete<H: Hold<Protocol = Self>>(
        held: H,
        (): (),
        result: Result<Res, E>,
    ) -> Answer<Result<Res, Self::Error>, Self::Later<H>> {
        let class = held.protocol().classify.class(result.as_ref());
        held.settle(class);
        Answer::Now(result.map_err(PlainError::Inner))
    }

    #[inline]
    fn inner_error(error: E) -> Self::Error {
        PlainError::Inner(error)
    }
}
