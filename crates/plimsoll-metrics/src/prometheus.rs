//! All metrics as Prometheus text: OpenMetrics 1.0, and the classic format.

use std::fmt;

use http::{HeaderValue, Response, StatusCode, header};
use prometheus_client::{encoding::text, registry::Registry};

use crate::Metrics;

const OPENMETRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
const CLASSIC: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

impl Metrics {
    /// All metrics in the classic Prometheus text format 0.0.4, which every scraper reads.
    ///
    /// Reads the clock, to advance the windows of the recent quantiles.
    pub fn prometheus(&self) -> Response<String> {
        respond(self.encode_text().map(|text| classic(&text)), CLASSIC)
    }

    /// All metrics as OpenMetrics 1.0, which Prometheus requests since 2.5: with units, and an end
    /// marker that makes a truncated scrape detectable.
    pub fn openmetrics(&self) -> Response<String> {
        respond(self.encode_text(), OPENMETRICS)
    }

    fn encode_text(&self) -> Result<String, fmt::Error> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self.clone()));
        let mut text = String::new();
        text::encode(&mut text, &registry)?;
        Ok(text)
    }
}

fn respond(text: Result<String, fmt::Error>, content_type: HeaderValue) -> Response<String> {
    // Writing to a string does not fail. If an encoder did, a scraper must not accept a partial
    // text.
    let failed = text.is_err();
    let mut response = Response::new(text.unwrap_or_default());
    if failed {
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    }
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, content_type);
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Converts OpenMetrics to the classic format: a counter's family has the name of its samples, and
/// there are no units and no end marker. Samples and escapes are equal.
fn classic(openmetrics: &str) -> String {
    let mut text = String::with_capacity(openmetrics.len());
    let mut help = None;
    for line in openmetrics.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ');
        } else if let Some((name, kind)) = line
            .strip_prefix("# TYPE ")
            .and_then(|rest| rest.split_once(' '))
        {
            let suffix = if kind == "counter" { "_total" } else { "" };
            if let Some((_, help)) = help.take() {
                text.extend(["# HELP ", name, suffix, " ", help, "\n"]);
            }
            text.extend(["# TYPE ", name, suffix, " ", kind, "\n"]);
        } else if !line.starts_with("# UNIT ") && line != "# EOF" {
            text.extend([line, "\n"]);
        }
    }
    text
}
