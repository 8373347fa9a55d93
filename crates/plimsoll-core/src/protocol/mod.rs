//! How traffic says no, and when a call is over.

mod body;
mod grpc;
mod http;
mod plain;
mod refusal;

use std::{
    convert::Infallible,
    future::Future,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll},
};

use tower_service::Service;

pub use self::{
    body::{Carried, GateBody},
    http::{Http, HttpCall, SpeaksHttp},
    plain::{BoxError, ClassifyPlain, Plain, PlainError},
};
use crate::{Held, Hold, Rejection, RequestHead};

/// An answer that is here, or one that takes a while.
#[derive(Debug)]
pub enum Answer<R, F> {
    /// Here it is.
    Now(R),
    /// A future makes it: a fallback's handler.
    Later(F),
}

/// How traffic says no, and when a call is over.
///
/// [`Http`] serves HTTP and gRPC, [`Plain`] everything else. A protocol may wrap another, as fallback does.
#[diagnostic::on_unimplemented(
    message = "the protocol `{Self}` does not fit this service",
    note = "`Http` (the default) needs `http::Request<_>` in and `http::Response<_>` out, with a body whose data is `Bytes`",
    note = "for any other Tower service say `GateLayer::builder(policy).protocol(Plain::new()).build()`"
)]
pub trait Protocol<Req, Res, E>: Sized + Send + Sync + 'static {
    /// What is remembered of a request while the inner service has it.
    type Call;
    /// The gate's response, with a body that may carry the permit.
    type Response<H: Hold<Protocol = Self>>;
    /// The gate's error.
    type Error;
    /// Makes an answer that takes a while.
    type Later<H: Hold<Protocol = Self>>: Future<Output = Result<Self::Response<H>, Self::Error>>;

    /// Looks at a request before the inner service takes it, or before it is refused.
    fn begin(&self, req: &Req) -> Self::Call;

    /// Says no.
    #[allow(clippy::type_complexity)] // an alias would hide what a protocol's author has to return
    fn refuse<H: Hold<Protocol = Self>>(
        &self,
        call: Self::Call,
        req: &Req,
        rejection: &Rejection,
    ) -> Answer<Result<Self::Response<H>, Self::Error>, Self::Later<H>>;

    /// The inner service answered: may change the answer before it is classified. Does nothing by
    /// default.
    #[inline]
    fn received<H: Hold<Protocol = Self>>(held: &H, result: &mut Result<Res, E>) {
        _ = (held, result);
    }

    /// The inner service answered: classifies the answer, and settles the permit now or with the body.
    #[allow(clippy::type_complexity)] // as above
    fn complete<H: Hold<Protocol = Self>>(
        held: H,
        call: Self::Call,
        result: Result<Res, E>,
    ) -> Answer<Result<Self::Response<H>, Self::Error>, Self::Later<H>>;

    /// The head of a request, for observers; `None` when the protocol knows none.
    fn head_of<'a>(&self, req: &'a Req) -> Option<RequestHead<'a>> {
        _ = req;
        None
    }

    /// The inner service failed before it took a request.
    fn inner_error(error: E) -> Self::Error;
}

/// The response of a gate around `S` with policy `P` and protocol `T`.
pub(crate) type ResponseOf<S, P, T, Req> =
    <T as Protocol<Req, <S as Service<Req>>::Response, <S as Service<Req>>::Error>>::Response<
        Held<P, T, Req>,
    >;

/// A future that does not exist: for protocols that answer at once.
#[derive(Debug)]
pub struct Never<T> {
    never: Infallible,
    output: PhantomData<fn() -> T>,
}

impl<T> Future for Never<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<T> {
        match self.never {}
    }
}
