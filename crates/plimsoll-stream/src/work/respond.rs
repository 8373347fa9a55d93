//! Errors of a work queue as responses.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{Request, StatusCode, request::Parts};
use plimsoll_core::Http;

use super::error::WorkError;
use crate::reject::respond;

impl WorkError {
    /// Makes the response to a request with this head: content negotiation and gRPC included.
    ///
    /// [`IntoResponse`] makes the response for a request that accepts every content type.
    pub fn respond_to(&self, parts: &Parts) -> Response {
        let mut request = Request::new(());
        *request.method_mut() = parts.method.clone();
        *request.uri_mut() = parts.uri.clone();
        *request.headers_mut() = parts.headers.clone();
        self.respond(&request)
    }

    fn respond(&self, request: &Request<()>) -> Response {
        if let Some(rejection) = self.rejection() {
            return respond(&Http::new(), request, rejection);
        }
        let mut response = Response::new(Body::from(self.to_string()));
        *response.status_mut() = match self {
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Aborted => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        response
    }
}

impl IntoResponse for WorkError {
    fn into_response(self) -> Response {
        self.respond(&Request::new(()))
    }
}
