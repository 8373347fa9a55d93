//! For authors of protocols: how rejections are written, how answers are classified, and when a
//! call ends.

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

#[doc(hidden)]
pub use self::refusal::{grpc_trailers, retry_info};
pub use self::{
    http::{Carried, GateBody, Http, HttpCall, SpeaksHttp},
    plain::{BoxError, ClassifyPlain, Plain, PlainError},
};
use crate::{Rejection, RequestHead};
#[doc(inline)]
pub use crate::{
    classify::{Classify, ClientClassifier, ServerClassifier},
    gate::{GateFuture, Held, Hold},
};

/// An answer that is ready, or a future that makes it.
#[derive(Debug)]
pub enum Answer<R, F> {
    /// The answer.
    Now(R),
    /// A future that makes the answer, such as a fallback's handler.
    Later(F),
}

/// Writes rejections, and defines when a call ends.
///
/// [`Http`] is for HTTP and gRPC, [`Plain`] for every other Tower service. A protocol may wrap
/// another, as fallback does.
#[diagnostic::on_unimplemented(
    message = "the protocol `{Self}` does not fit this service",
    note = "`Http` (the default) needs `http::Request<_>` in and `http::Response<_>` out, with a body whose data is `Bytes`",
    note = "for any other Tower service use `GateLayer::builder(policy).protocol(Plain::new()).build()`"
)]
pub trait Protocol<Req, Res, E>: Sized + Send + Sync + 'static {
    /// What the protocol keeps about a request until the inner service answers.
    type Call;
    /// The gate's response, with a body that may carry the permit.
    type Response<H: Hold<Protocol = Self>>;
    /// The gate's error.
    type Error;
    /// A future that makes an answer.
    type Later<H: Hold<Protocol = Self>>: Future<Output = Result<Self::Response<H>, Self::Error>>;

    /// Reads a request before the inner service takes it, or before it is rejected.
    fn begin(&self, req: &Req) -> Self::Call;

    /// Makes the answer to a rejected request.
    #[allow(clippy::type_complexity)] // An alias would hide what a protocol's author has to return.
    fn reject<H: Hold<Protocol = Self>>(
        &self,
        call: Self::Call,
        req: &Req,
        rejection: &Rejection,
    ) -> Answer<Result<Self::Response<H>, Self::Error>, Self::Later<H>>;

    /// Called when the inner service has answered; may change the answer before it is classified.
    /// Does nothing by default.
    #[inline]
    fn received<H: Hold<Protocol = Self>>(held: &H, result: &mut Result<Res, E>) {
        _ = (held, result);
    }

    /// Called when the inner service has answered: classifies the answer, and ends the permit now
    /// or with the body.
    #[allow(clippy::type_complexity)] // As above.
    fn complete<H: Hold<Protocol = Self>>(
        held: H,
        call: Self::Call,
        result: Result<Res, E>,
    ) -> Answer<Result<Self::Response<H>, Self::Error>, Self::Later<H>>;

    /// Returns the head of a request, for observers; `None` when the protocol has none.
    fn head_of<'a>(&self, req: &'a Req) -> Option<RequestHead<'a>> {
        _ = req;
        None
    }

    /// Converts an error that the inner service returned before it took a request.
    fn inner_error(error: E) -> Self::Error;
}

/// The response of a gate around `S` with policy `P` and protocol `T`.
pub(crate) type ResponseOf<S, P, T, Req> =
    <T as Protocol<Req, <S as Service<Req>>::Response, <S as Service<Req>>::Error>>::Response<
        Held<P, T, Req>,
    >;

/// A future that cannot be created, for protocols that always answer at once.
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
