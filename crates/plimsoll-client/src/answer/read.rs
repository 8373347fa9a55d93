//! The traits of answers.

use std::task::{Context, Poll};

use http::{Extensions, HeaderMap, StatusCode};

/// The answer of a callee: of the `http` crate, or of `reqwest`.
pub trait ReadAnswer: Sized {
    /// The answer that the caller receives.
    type Output;
    /// The answer while its body is read.
    type Peek: PeekAnswer<Output = Self::Output>;

    /// Returns the status.
    fn status(&self) -> StatusCode;

    /// Returns the headers.
    fn headers(&self) -> &HeaderMap;

    /// Returns the extensions, with the [`Rejection`](plimsoll_core::Rejection) of a gate in this
    /// process.
    fn extensions(&self) -> &Extensions;

    /// Converts the answer into the one that the caller receives.
    fn into_output(self) -> Self::Output;

    /// Starts to read the body, up to `limit` bytes.
    fn peek(self, limit: usize) -> Self::Peek;
}

/// An answer whose body is read for its trailers, or to be discarded.
pub trait PeekAnswer {
    /// The answer that the caller receives.
    type Output;

    /// Reads until the body has ended, or the limit is reached.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// Returns the status.
    fn status(&self) -> StatusCode;

    /// Returns the headers.
    fn headers(&self) -> &HeaderMap;

    /// Returns the trailers, if they have been read.
    fn trailers(&self) -> Option<&HeaderMap>;

    /// Returns the answer, with what has been read of its body before the rest.
    fn into_output(self) -> Self::Output;
}
