//! The sources of substitutes: a fixed answer, or a handler.

use std::{convert::Infallible, fmt, future::Future};

use bytes::Bytes;
use http::{Request, Response};
use plimsoll_core::protocol::Never;

use crate::Cause;

/// A substitute, or a future that makes it.
#[derive(Debug)]
pub enum Made<F> {
    /// A complete response.
    Now(Response<Bytes>),
    /// The handler's future.
    Later(F),
}

/// Makes substitutes. Implemented by the types that [`Fallback`](crate::Fallback)'s constructors
/// make.
///
/// `B` is the body of the inner service's responses and `E` its error.
#[diagnostic::on_unimplemented(
    message = "`{Self}` makes no substitutes for responses with the body `{B}` and the error `{E}`",
    note = "a handler is `|cause: Cause<E>| async {{ .. }}` and answers with a `Response<B>`, or with an `Option` of it, `B` and `E` being the inner service's",
    note = "`Fallback::handler_with` takes two closures: `|req: &Request<_>| -> T` and `|cause: Cause<E>, captured: T| async {{ .. }}`"
)]
pub trait Substitute<R, B, E>: Send + Sync + 'static {
    /// The part of a request that is kept while the inner service runs.
    type Captured;
    /// The handler's future.
    type Future: Future<Output: IntoSubstitute<B, E>>;

    /// Captures a part of a request before the inner service runs. Called for every request:
    /// capture little.
    fn capture(&self, req: &Request<R>) -> Self::Captured;

    /// Makes the substitute. The permit has ended before.
    fn substitute(&self, cause: Cause<E>, captured: Self::Captured) -> Made<Self::Future>;
}

/// The result of a handler: a substitute, or none.
///
/// | type | the handler declines with |
/// |---|---|
/// | `Response<B>` | nothing: it always answers |
/// | `Option<Response<B>>` | `None`. For services without errors (`E` is [`Infallible`]) |
/// | `Result<Response<B>, Cause<E>>` | `Err(cause)`, with the cause that it got |
///
/// When the handler declines, the original goes out: the rejection, the failed answer or the error,
/// as without a fallback. It is neither marked nor counted.
#[diagnostic::on_unimplemented(
    message = "a handler cannot answer with `{Self}` for responses with the body `{B}` and the error `{E}`",
    note = "answer with a `Response<B>`, or with `Option<Response<B>>` or `Result<Response<B>, Cause<E>>` to decline; `Option` needs a service whose error is `Infallible`"
)]
pub trait IntoSubstitute<B, E> {
    /// Whether the handler may decline. The original is kept only then.
    const MAY_DECLINE: bool;

    /// Returns the substitute.
    ///
    /// # Errors
    ///
    /// When the handler declined: the inner service's error, if that was the cause.
    fn into_substitute(self) -> Result<Response<B>, Option<E>>;
}

impl<B, E> IntoSubstitute<B, E> for Response<B> {
    const MAY_DECLINE: bool = false;

    #[inline]
    fn into_substitute(self) -> Result<Self, Option<E>> {
        Ok(self)
    }
}

impl<B> IntoSubstitute<B, Infallible> for Option<Response<B>> {
    const MAY_DECLINE: bool = true;

    #[inline]
    fn into_substitute(self) -> Result<Response<B>, Option<Infallible>> {
        self.ok_or(None)
    }
}

impl<B, E> IntoSubstitute<B, E> for Result<Response<B>, Cause<E>> {
    const MAY_DECLINE: bool = true;

    #[inline]
    fn into_substitute(self) -> Result<Response<B>, Option<E>> {
        self.map_err(|cause| match cause {
            Cause::Error(error) => Some(error),
            Cause::Rejected(_) | Cause::Failed(_) => None,
        })
    }
}

/// A fixed answer.
#[derive(Debug, Clone)]
pub struct Fixed(pub(crate) Response<Bytes>);

impl<R, B, E> Substitute<R, B, E> for Fixed {
    type Captured = ();
    type Future = Never<Response<B>>;

    #[inline]
    fn capture(&self, _: &Request<R>) {}

    fn substitute(&self, _: Cause<E>, (): ()) -> Made<Self::Future> {
        // The body is shared; the head is copied.
        Made::Now(self.0.clone())
    }
}

/// A handler that gets the cause.
#[derive(Clone, Copy)]
pub struct Handler<F>(pub(crate) F);

impl<R, B, E, F, Fut> Substitute<R, B, E> for Handler<F>
where
    F: Fn(Cause<E>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output: IntoSubstitute<B, E>>,
{
    type Captured = ();
    type Future = Fut;

    #[inline]
    fn capture(&self, _: &Request<R>) {}

    fn substitute(&self, cause: Cause<E>, (): ()) -> Made<Fut> {
        Made::Later((self.0)(cause))
    }
}

/// A handler that gets the cause and the captured part of the request.
#[derive(Clone, Copy)]
pub struct HandlerWith<K, F> {
    pub(crate) capture: K,
    pub(crate) handler: F,
}

impl<R, B, E, T, K, F, Fut> Substitute<R, B, E> for HandlerWith<K, F>
where
    K: Fn(&Request<R>) -> T + Send + Sync + 'static,
    F: Fn(Cause<E>, T) -> Fut + Send + Sync + 'static,
    Fut: Future<Output: IntoSubstitute<B, E>>,
{
    type Captured = T;
    type Future = Fut;

    #[inline]
    fn capture(&self, req: &Request<R>) -> T {
        (self.capture)(req)
    }

    fn substitute(&self, cause: Cause<E>, captured: T) -> Made<Fut> {
        Made::Later((self.handler)(cause, captured))
    }
}

impl<F> fmt::Debug for Handler<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handler")
    }
}

impl<K, F> fmt::Debug for HandlerWith<K, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HandlerWith")
    }
}
