//! The fuzz target for the parser of `accept`. The `fuzz` package includes this file.

use std::task::{Context, Poll, Waker};

use http::{
    HeaderMap, HeaderValue, Request, Response,
    header::{ACCEPT, CONTENT_TYPE, VARY},
};
use plimsoll_metrics::Metrics;
use tower::Service as _;

/// Takes one `accept` line per line of the input, and returns whether the answer is OpenMetrics.
///
/// Checks: the answer is OpenMetrics only when `accept` names it, and ends as that format does; a
/// range that covers everything changes nothing.
pub fn metrics_accept(data: &[u8]) -> bool {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n') {
        if let Ok(line) = HeaderValue::from_bytes(line) {
            // Fails beyond 32,768 headers, which no server accepts.
            _ = headers.try_append(ACCEPT, line);
        }
    }
    let response = answer(&headers);
    assert_eq!(
        (response.status().as_u16(), &response.headers()[VARY]),
        (200, &"accept".parse().unwrap())
    );
    let content_type = response.headers()[CONTENT_TYPE].to_str().unwrap();
    let is_open = content_type.starts_with("application/openmetrics-text");
    assert!(
        is_open || content_type.starts_with("text/plain"),
        "{content_type}"
    );
    assert_eq!(response.body().ends_with("# EOF\n"), is_open);
    let names_it = headers.values().any(|line| {
        let line = line.as_bytes().to_ascii_lowercase();
        line.windows(28)
            .any(|part| part == b"application/openmetrics-text")
    });
    assert!(names_it || !is_open, "{headers:?}");

    headers.append(ACCEPT, HeaderValue::from_static("*/*"));
    assert_eq!(answer(&headers).headers()[CONTENT_TYPE], content_type);
    is_open
}

fn answer(headers: &HeaderMap) -> Response<String> {
    let mut req = Request::get("/metrics").body(()).unwrap();
    req.headers_mut().clone_from(headers);
    let answered = std::pin::pin!(Metrics::new().service().call(req));
    match answered.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(response)) => response,
        Poll::Pending => panic!("the service answers at once"),
    }
}
