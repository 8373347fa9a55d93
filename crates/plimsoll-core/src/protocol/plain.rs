//! Tower services other than HTTP.

use std::{error::Error, fmt};

use super::{Answer, Never, Protocol};
use crate::{Class, Hold, Rejection};

/// tower's error type: any error, boxed.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// The protocol for Tower services other than HTTP: a rejection is an error, and a call ends with
/// its future.
///
/// An `Ok` is a success and an `Err` a failure; [`classify`](Plain::classify) changes that. An
/// error caused by an inner gate's [`Rejection`] is always [`Class::Rejected`]. The service's error
/// must convert into [`BoxError`], as for tower's own layers.
#[doc(alias("error type"))]
#[derive(Clone, Copy)]
pub struct Plain<C = ()> {
    classify: C,
}

impl Plain {
    /// Classifies `Ok` as a success and `Err` as a failure.
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

/// Classifies a plain result: `()` by default, or a closure.
pub trait ClassifyPlain<Res, E>: Send + Sync + 'static {
    /// Returns the class of this result.
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

/// The error of a gate with the protocol [`Plain`].
///
/// Converts into [`BoxError`] as every error does, so the gate works between tower's own layers
/// (timeout, buffer, load shed, balance), whose errors are boxed as well.
#[derive(Debug)]
pub enum PlainError {
    /// A policy rejected the request; the inner service was not called.
    Rejected(Rejection),
    /// The inner service's own error; `downcast` it to its type.
    Inner(BoxError),
}

impl PlainError {
    /// Returns the rejection, if this gate rejected the request.
    pub const fn rejection(&self) -> Option<&Rejection> {
        match self {
            Self::Rejected(rejection) => Some(rejection),
            Self::Inner(_) => None,
        }
    }

    /// Finds a gate's rejection in an error or its sources, such as an error wrapped by tower's
    /// buffer.
    pub fn rejection_in<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Rejection> {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if let Some(rejection) = error.downcast_ref() {
                return Some(rejection);
            }
            cause = error.source();
        }
        None
    }
}

impl fmt::Display for PlainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(rejection) => rejection.fmt(f),
            Self::Inner(error) => error.fmt(f),
        }
    }
}

impl Error for PlainError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Rejected(rejection) => Some(rejection),
            Self::Inner(error) => Some(&**error),
        }
    }
}

impl<Req, Res, E, C> Protocol<Req, Res, E> for Plain<C>
where
    E: Into<BoxError>,
    C: ClassifyPlain<Res, E>,
{
    type Call = ();
    type Response<H: Hold<Protocol = Self>> = Res;
    type Error = PlainError;
    type Later<H: Hold<Protocol = Self>> = Never<Result<Res, PlainError>>;

    #[inline]
    fn begin(&self, _: &Req) {}

    #[inline]
    fn reject<H: Hold<Protocol = Self>>(
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
        let result = result.map_err(Into::into);
        // A rejection by an inner gate decides: the service behind it was not called.
        let class = match &result {
            Err(error) if PlainError::rejection_in(&**error).is_some() => Class::Rejected,
            _ => class,
        };
        held.settle(class);
        Answer::Now(result.map_err(PlainError::Inner))
    }

    #[inline]
    fn inner_error(error: E) -> Self::Error {
        PlainError::Inner(error.into())
    }
}
