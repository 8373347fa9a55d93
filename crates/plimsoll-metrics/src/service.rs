//! The two endpoints as a Tower service.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    task::{Context, Poll},
};

use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use tower_service::Service;

use crate::{Metrics, accept::prefers_openmetrics};

/// Serves `GET` and `HEAD` of `/metrics` and `/health/load`; 404 for other paths, 405 for other
/// methods.
///
/// Made by [`Metrics::service`]. Works with axum's `route_service`, `nest_service` (which removes
/// the prefix of the path) and `fallback_service`, with hyper, and with every other server for a
/// Tower service from `http::Request<_>` to `http::Response<String>`. For other paths call
/// [`Metrics::prometheus`] and [`Metrics::health`] in a handler; axum accepts their responses
/// directly.
///
/// `/metrics` answers with OpenMetrics 1.0 when `accept` names it, as Prometheus does, and with the
/// classic text format in all other cases.
///
/// The service is always ready, answers at once and reads no body. Keep it outside of the gates,
/// since an overload would otherwise reject its requests.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use plimsoll_metrics::Metrics;
/// use tower::ServiceExt;
///
/// let service = Metrics::new().service();
/// let response = service.oneshot(http::Request::get("/health/load").body(()).unwrap()).await.unwrap();
/// assert_eq!(response.status(), 200);
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct MetricsService {
    metrics: Metrics,
}

impl Metrics {
    /// A Tower service with `GET /metrics` and `GET /health/load`.
    pub fn service(&self) -> MetricsService {
        MetricsService {
            metrics: self.clone(),
        }
    }
}

impl MetricsService {
    fn answer(&self, method: &Method, path: &str, headers: &HeaderMap) -> Response<String> {
        let endpoint = match path {
            "/metrics" if prefers_openmetrics(headers) => Metrics::openmetrics,
            "/metrics" => Metrics::prometheus,
            "/health/load" => Metrics::health,
            _ => return empty(StatusCode::NOT_FOUND),
        };
        if method != Method::GET && method != Method::HEAD {
            let mut response = empty(StatusCode::METHOD_NOT_ALLOWED);
            response
                .headers_mut()
                .insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        let mut response = endpoint(&self.metrics);
        if path == "/metrics" {
            // Caches must keep the two formats apart.
            response
                .headers_mut()
                .insert(header::VARY, HeaderValue::from_static("accept"));
        }
        if method == Method::HEAD {
            let length = HeaderValue::from(response.body().len());
            response
                .headers_mut()
                .insert(header::CONTENT_LENGTH, length);
            response.body_mut().clear();
        }
        response
    }
}

fn empty(status: StatusCode) -> Response<String> {
    let mut response = Response::new(String::new());
    *response.status_mut() = status;
    response
}

impl<B> Service<Request<B>> for MetricsService {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Ready<Result<Response<String>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, req: Request<B>) -> Self::Future {
        ready(Ok(self.answer(
            req.method(),
            req.uri().path(),
            req.headers(),
        )))
    }
}
