//! All metrics as Prometheus text: OpenMetrics 1.0, and the classic format.

use http::{HeaderValue, Response, StatusCode, header};

use crate::{
    Metrics,
    export::{Format, write},
};

const OPENMETRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
const CLASSIC: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

impl Metrics {
    /// All metrics in the classic Prometheus text format 0.0.4, which every scraper reads.
    ///
    /// Reads the clock, to advance the windows of the recent quantiles.
    pub fn prometheus(&self) -> Response<String> {
        self.exposition(Format::Classic, CLASSIC)
    }

    /// All metrics as OpenMetrics 1.0, which Prometheus requests since 2.5: with units, and an end
    /// marker that makes a truncated scrape detectable.
    pub fn openmetrics(&self) -> Response<String> {
        self.exposition(Format::OpenMetrics, OPENMETRICS)
    }

    fn exposition(&self, format: Format, content_type: HeaderValue) -> Response<String> {
        // Writing to a string does not fail. If it did, a scraper must not accept a partial text.
        let text = write(&self.snapshot().families(), format);
        let failed = text.is_err();
        let mut response = Response::new(text.unwrap_or_default());
        if failed {
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        }
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, content_type);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}
