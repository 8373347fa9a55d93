//! Where substitutes come from: a fixed answer, or a handler.

use std::{fmt, future::Future};

use bytes::Bytes;
use http::{Request, Response};
use plimsoll_core::Never;

use crate::Cause;

/// A substitute that is here, or one that takes a while.
#[derive(Debug)]
pub enum Made<F> {
    /// Here it is.
    Now(Response<Bytes>),
    /// The handler's future makes it.
    Later(F),
}

/// Makes substitutes. Implemented by what [`Fallback`](crate::Fallback)'s constructors make.
///
/// `B` is the body of the inner service's responses and `E` its error.
#[diagnostic::on_unimplemented(
    message = "`{Self}` makes no substitutes for responses with the body `{B}` and the error `{E}`",
    note = "a handler is `|cause: Cause<E>| async {{ .. }}` and answers with a `Response<B>`, `B` and `E` being the inner service's",
    note = "`Fallback::handler_with` takes two closures: `|req: &Request<_>| -> T` and `|cause: Cause<E>, remembered: T| async {{ .. }}`"
)]
pub trait Substitute<R, B, E>: Send + Sync + 'static {
    /// What is remembered of a request while the inner service has it.
    type Captured;
    /// Makes a substitute that takes a while.
    type Future: Future<Output = Response<B>>;

    /// Looks at a request before the inner service takes it. Runs for every request: keep it small.
    fn capture(&self, req: &Request<R>) -> Self::Captured;

    /// Makes the substitute. Nothing is held any more while it does.
    fn substitute(&self, cause: Cause<E>, captured: Self::Captured) -> Made<Self::Future>;
}

/// The same answer every time.
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

/// A handler that is told the cause.
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

/// A handler that is told the cause and what was captured of the request.
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
