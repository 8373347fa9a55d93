//! Services to put behind the gates.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    task::{Context, Poll},
};

use axum::body::{Body, HttpBody};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use tower::{BoxError, Service};

/// An HTTP service that answers with the body of the request, or with 400 when the body fails.
#[derive(Debug, Clone, Copy, Default)]
pub struct Echo;

impl<B> Service<Request<B>> for Echo
where
    B: HttpBody<Data: Send, Error: Send> + Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future =
        std::pin::Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, req: Request<B>) -> Self::Future {
        Box::pin(async move {
            let (status, body) = match req.into_body().collect().await {
                Ok(body) => (StatusCode::OK, body.to_bytes().into()),
                Err(_) => (StatusCode::BAD_REQUEST, Body::empty()),
            };
            let mut response = Response::new(body);
            *response.status_mut() = status;
            Ok(response)
        })
    }
}

/// A service without HTTP: answers a text in capitals, and `fail` with an error.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shout;

impl Service<&'static str> for Shout {
    type Response = String;
    type Error = BoxError;
    type Future = Ready<Result<String, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, text: &'static str) -> Self::Future {
        ready(match text {
            "fail" => Err("failed".into()),
            text => Ok(text.to_uppercase()),
        })
    }
}
