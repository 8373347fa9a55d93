//! The sources of substitutes: a fixed answer, or a handler.

use std::{fmt, future::Future};

use bytes::Bytes;
use http::{Request, Response};
use plimsoll_core::Never;

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
    note = "a handler is `|cause: Cause<E>| async {{ .. }}` and answers with a `Response<B>`, `B` and `E` being the inner service's",
    note = "`Fallback::handler_with` takes two closures: `|req: &Request<_>| -> T` and `|cause: Cause<E>, captured: T| async {{ .. }}`"
)]
pub trait Substitute<R, B, E>: Send + Sync + 'static {
    /// The part of a request that is kept while the inner service runs.
    type Captured;
    /// The handler's future.
    type Future: Future<Output = Response<B>>;

    /// Captures a part of a request before the inner service runs. Called for every request:
    /// capture little.
    fn capture(&self, req: &Request<R>) -> Self::Captured;

    /// Makes the substitute. The permit has ended before.
    fn substitute(&self, cause: Cause<E>, captured: Self::Captured) -> Made<Self::Future>;
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
    Fut: Future<Output = Response<B>>,
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
    Fut: Future<Output = Response<B>>,
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
