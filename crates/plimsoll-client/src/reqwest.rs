//! Requests and answers of `reqwest`.

use std::task::{Context, Poll};

use http::{Extensions, HeaderMap, Method, StatusCode};
use reqwest::{Request, Response};

use crate::{
    answer::{PeekAnswer, ReadAnswer},
    request::{Replay, ReplayRequest},
};

/// What is kept of a `reqwest::Request`.
///
/// A body of bytes is cloned cheaply. A streamed body is sent once, and so is one above the limit.
#[derive(Debug)]
pub struct ReqwestReplay(Request);

impl ReplayRequest for Request {
    type Attempt = Request;
    type Replay = ReqwestReplay;

    fn method(&self) -> &Method {
        self.method()
    }

    fn headers(&self) -> &HeaderMap {
        self.headers()
    }

    fn extensions(&self) -> Option<&Extensions> {
        None
    }

    fn record(self, limit: usize, kept: &mut Option<ReqwestReplay>) -> Request {
        let is_small = self
            .body()
            .is_none_or(|body| body.as_bytes().is_some_and(|bytes| bytes.len() <= limit));
        if is_small {
            *kept = self.try_clone().map(ReqwestReplay);
        }
        self
    }
}

impl Replay for ReqwestReplay {
    type Attempt = Request;

    fn stop(&mut self) -> bool {
        true
    }

    fn is_complete(&self) -> bool {
        true
    }

    fn again(&mut self, edit: impl FnOnce(&mut HeaderMap)) -> Option<Request> {
        let mut attempt = self.0.try_clone()?;
        edit(attempt.headers_mut());
        Some(attempt)
    }
}

impl ReadAnswer for Response {
    type Output = Self;
    type Peek = Self;

    fn status(&self) -> StatusCode {
        self.status()
    }

    fn headers(&self) -> &HeaderMap {
        self.headers()
    }

    fn extensions(&self) -> &Extensions {
        self.extensions()
    }

    fn into_output(self) -> Self {
        self
    }

    fn peek(self, _: usize) -> Self {
        self
    }
}

/// `reqwest` has no way to read trailers: calls are decided at the head.
impl PeekAnswer for Response {
    type Output = Self;

    fn poll_end(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn status(&self) -> StatusCode {
        self.status()
    }

    fn headers(&self) -> &HeaderMap {
        self.headers()
    }

    fn trailers(&self) -> Option<&HeaderMap> {
        None
    }

    fn into_output(self) -> Self {
        self
    }
}
