//! The inner services of all cases, and their own cost.

use std::{
    convert::Infallible,
    future::Future,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use tower::Service;

use super::{
    Case,
    base::{Base, Empty, plain},
};

/// The header with the key of a keyed request.
pub const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// The body of every response.
pub const HELLO: &str = "hello, world";

/// A request without headers.
pub const HTTP: Base = Base {
    bare: "bare/http",
    unsent: "bare/unsent",
    request: plain,
};
/// A request with a key among its headers.
pub const KEYED: Base = Base {
    bare: "bare/http-keyed",
    unsent: "bare/unsent-keyed",
    request: keyed,
};
/// As [`HTTP`], with axum's boxed body in the response: `tower_governor` accepts no other.
pub const AXUM: Base = Base {
    bare: "bare/axum-body",
    ..HTTP
};
/// As [`KEYED`], with axum's body in the response.
pub const AXUM_KEYED: Base = Base {
    bare: "bare/axum-body-keyed",
    ..KEYED
};

/// The baselines.
pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::unsent(HTTP),
        Case::unsent(KEYED),
        Case::new(HTTP.bare, HTTP, || Bare::<Full<Bytes>>::OK),
        Case::new(KEYED.bare, KEYED, || Bare::<Full<Bytes>>::OK),
        Case::new(AXUM.bare, AXUM, || Bare::<axum::body::Body>::OK),
        Case::new(AXUM_KEYED.bare, AXUM_KEYED, || Bare::<axum::body::Body>::OK),
    ]
}

/// A request with some of the headers that clients send, and a key.
fn keyed() -> Request<Empty> {
    let mut request = plain();
    let headers = request.headers_mut();
    headers.insert(http::header::HOST, HeaderValue::from_static("ads.example"));
    headers.insert(http::header::ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert(API_KEY, HeaderValue::from_static("publisher-0042"));
    request
}

/// Answers at once, always the same.
pub struct Bare<B> {
    status: StatusCode,
    body: PhantomData<fn() -> B>,
}

impl<B> Bare<B> {
    /// Answers with 200.
    pub const OK: Self = Self {
        status: StatusCode::OK,
        body: PhantomData,
    };
    /// Answers with 500.
    pub const FAILING: Self = Self {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        body: PhantomData,
    };
}

impl<B: From<Bytes>, R> Service<Request<R>> for Bare<B> {
    type Response = Response<B>;
    type Error = Infallible;
    type Future = Answer<B>;

    #[inline]
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    // Not inlined, as a handler in a real server: otherwise the compiler would remove parts of the
    // layers' work.
    #[inline(never)]
    fn call(&mut self, request: Request<R>) -> Self::Future {
        if request.method() == Method::TRACE {
            return Answer(None);
        }
        let mut response = Response::new(B::from(Bytes::from_static(HELLO.as_bytes())));
        *response.status_mut() = self.status;
        Answer(Some(response))
    }
}

impl<B> Clone for Bare<B> {
    fn clone(&self) -> Self {
        Self { ..*self }
    }
}

/// A response that is ready at once, or never.
pub struct Answer<B>(Option<Response<B>>);

// Never pinned.
impl<B> Unpin for Answer<B> {}

impl<B> Future for Answer<B> {
    type Output = Result<Response<B>, Infallible>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        self.0
            .take()
            .map_or(Poll::Pending, |response| Poll::Ready(Ok(response)))
    }
}
