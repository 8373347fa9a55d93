//! Requests and answers of `reqwest`.

use std::task::{Context, Poll};

use http::{Extensions, HeaderMap, Method, StatusCode};
use reqwest::{Request, Response};

use crate::{
    answer::{PeekAnswer, ReadAnswer},
    request::{Replay, ReplayRequest, is_idempotency_key, is_idempotent},
};

/// What is kept of a `reqwest::Request`.
///
/// A body of bytes is cloned cheaply. A streamed body is sent once, and so is one above the limit.
#[derive(Debug)]
pub struct ReqwestReplay {
    /// `None`: the request can be sent once only.
    request: Option<Request>,
    is_idempotent: bool,
}

impl ReplayRequest for Request {
    type Attempt = Request;
    type Replay = ReqwestReplay;
    type Bare = ReqwestReplay;

    fn method(&self) -> &Method {
        self.method()
    }

    fn headers(&self) -> &HeaderMap {
        self.headers()
    }

    fn extensions(&self) -> Option<&Extensions> {
        None
    }

    fn has_body(&self) -> bool {
        self.body().is_some()
    }

    fn keep(&self) -> ReqwestReplay {
        let has_key = || self.headers().keys().any(is_idempotency_key);
        ReqwestReplay {
            request: (!self.has_body()).then(|| self.try_clone()).flatten(),
            is_idempotent: is_idempotent(self.method(), None, has_key),
        }
    }

    fn first(self, limit: usize, kept: Option<&mut ReqwestReplay>) -> Request {
        let is_small = || {
            let bytes = self.body().and_then(|body| body.as_bytes());
            bytes.is_some_and(|bytes| bytes.len() <= limit)
        };
        if let Some(kept) = kept.filter(|_| is_small()) {
            kept.request = self.try_clone();
        }
        self
    }
}

impl Replay for ReqwestReplay {
    type Attempt = Request;

    fn stop(&mut self) -> bool {
        self.request.is_some()
    }

    fn is_complete(&self) -> bool {
        self.request.is_some()
    }

    fn is_idempotent(&self) -> bool {
        self.is_idempotent
    }

    fn again(&mut self, edit: impl FnOnce(&mut HeaderMap)) -> Option<Request> {
        let mut attempt = self.request.as_ref()?.try_clone()?;
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
