//! The endpoints as a Tower service.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::AcqRel},
    },
    task::{Context, Poll, ready},
};

use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use tokio::{runtime::Handle, task::JoinHandle};
use tower_service::Service;

use crate::{Metrics, accept::prefers_openmetrics};

/// Most scrapes at a time. A fleet has two or three scrapers, and each of more scrapes than those
/// waits for a reading that blocks. `scrapes_beyond_the_bound_are_rejected` fails when it differs.
const MAX_SCRAPES: usize = 4;

/// Serves `GET` and `HEAD` of `/metrics`, `/health/load` and `/health/ready`; 404 for other paths,
/// 405 for other methods.
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
/// The service is always ready and reads no body. Keep it outside of the gates, since an overload
/// would otherwise reject its requests.
///
/// Health is answered at once. A scrape runs on tokio's pool for blocking work, so that a reading
/// that blocks holds no thread on which health and other requests are served; outside of a tokio
/// runtime it runs in the call. At most four scrapes run at a time; others get 503 with
/// `retry-after: 1`. A scrape whose caller has left runs to its end.
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
    scrapes: Arc<AtomicUsize>,
}

impl Metrics {
    /// A Tower service with `GET /metrics`, `GET /health/load` and `GET /health/ready`. Clones of it
    /// share the bound of scrapes.
    pub fn service(&self) -> MetricsService {
        MetricsService {
            metrics: self.clone(),
            scrapes: Arc::default(),
        }
    }
}

impl MetricsService {
    fn answer(&self, method: &Method, path: &str, headers: &HeaderMap) -> MetricsFuture {
        let endpoint: fn(&Metrics) -> Response<String> = match path {
            "/metrics" if prefers_openmetrics(headers) => Metrics::openmetrics,
            "/metrics" => Metrics::prometheus,
            "/health/load" => Metrics::health,
            "/health/ready" => Metrics::ready,
            _ => return MetricsFuture::now(empty(StatusCode::NOT_FOUND)),
        };
        if method != Method::GET && method != Method::HEAD {
            let mut response = empty(StatusCode::METHOD_NOT_ALLOWED);
            response
                .headers_mut()
                .insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return MetricsFuture::now(response);
        }
        let head = method == Method::HEAD;
        if path != "/metrics" {
            return MetricsFuture::now(finish(endpoint(&self.metrics), head));
        }
        let Some(place) = Place::take(&self.scrapes) else {
            let mut response = empty(StatusCode::SERVICE_UNAVAILABLE);
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            return MetricsFuture::now(response);
        };
        let metrics = self.metrics.clone();
        let scrape = move || {
            let _place = place;
            let mut response = endpoint(&metrics);
            // Caches must keep the two formats apart.
            response
                .headers_mut()
                .insert(header::VARY, HeaderValue::from_static("accept"));
            finish(response, head)
        };
        match Handle::try_current() {
            Ok(runtime) => MetricsFuture(State::Scrape(runtime.spawn_blocking(scrape))),
            Err(_) => MetricsFuture::now(scrape()),
        }
    }
}

/// The response to a `HEAD` has the length of that to a `GET`, and no body.
fn finish(mut response: Response<String>, head: bool) -> Response<String> {
    if head {
        let length = HeaderValue::from(response.body().len());
        response
            .headers_mut()
            .insert(header::CONTENT_LENGTH, length);
        response.body_mut().clear();
    }
    response
}

/// The place of a scrape, released on drop.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(scrapes: &Arc<AtomicUsize>) -> Option<Self> {
        let place = Self(Arc::clone(scrapes));
        // Dropping the place takes this one back, too.
        (scrapes.fetch_add(1, AcqRel) < MAX_SCRAPES).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, AcqRel);
    }
}

/// The response of a [`MetricsService`].
#[derive(Debug)]
pub struct MetricsFuture(State);

#[derive(Debug)]
enum State {
    Now(Option<Response<String>>),
    Scrape(JoinHandle<Response<String>>),
}

impl MetricsFuture {
    const fn now(response: Response<String>) -> Self {
        Self(State::Now(Some(response)))
    }
}

impl Future for MetricsFuture {
    type Output = Result<Response<String>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let response = match &mut self.0 {
            // Polled again after its end, it answers as a scrape that failed.
            State::Now(response) => response.take(),
            // An error is a runtime that shuts down.
            State::Scrape(scrape) => ready!(Pin::new(scrape).poll(cx)).ok(),
        };
        Poll::Ready(Ok(
            response.unwrap_or_else(|| empty(StatusCode::INTERNAL_SERVER_ERROR))
        ))
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
    type Future = MetricsFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, req: Request<B>) -> Self::Future {
        self.answer(req.method(), req.uri().path(), req.headers())
    }
}
