//! How a request's headers shape its rejection: `accept`, `content-type`, `grpc-timeout`.

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use http::{
    HeaderMap, HeaderName, Method, Request, Response,
    header::{ACCEPT, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE},
};
use http_body::Body;
use plimsoll_core::{
    Http, Kind, Rejection,
    policy::Allowance,
    protocol::{GateBody, Held},
    wire,
};

use super::{Input, lines};

const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// The body of the rejection.
type Answered = GateBody<NoBody, Held<(), Http, Request<()>>>;

/// The body type of the service, which is never called.
struct NoBody;

impl Body for NoBody {
    type Data = bytes::Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<bytes::Bytes>, Self::Error>>> {
        Poll::Ready(None)
    }
}

/// Promises of a rejection:
///
/// - It forbids caching, and its body has a known length.
/// - Only a `POST` is answered as gRPC.
/// - A problem document is sent only to callers that accept one.
/// - A pushback is a 32-bit number, shorter than the caller's timeout.
pub fn refusal(data: &[u8]) -> bool {
    let input = Input::new(data);
    let mut req = input.request(&[ACCEPT, CONTENT_TYPE, GRPC_TIMEOUT]);
    if input.knob & 8 == 0 {
        *req.method_mut() = Method::POST;
    }
    let rejection = rejection(input.knob);
    let response: Response<Answered> = Http::new().rejection(&req, &rejection);
    let (head, body) = response.into_parts();
    let body = collected(body);
    let headers = &head.headers;
    assert_eq!(headers[CACHE_CONTROL], "no-store");
    if let Some(length) = headers.get(CONTENT_LENGTH) {
        assert_eq!(length, &body.len().to_string());
    }
    if wire::is_grpc(&req) {
        assert_eq!((req.method(), head.status.as_u16()), (&Method::POST, 200));
        assert_eq!(headers.get(CONTENT_TYPE), req.headers().get(CONTENT_TYPE));
        assert!(headers.contains_key("grpc-status") && body.is_empty());
        pushback_is_in_time(headers, req.headers());
        return true;
    }
    assert!(!headers.contains_key("grpc-status"), "{headers:?}");
    let is_explained = headers.contains_key(CONTENT_TYPE);
    assert_eq!(is_explained, !body.is_empty());
    if is_explained {
        assert_eq!(headers[CONTENT_TYPE], "application/problem+json");
        assert!(body.starts_with(b"{") && body.ends_with(b"}"), "{body:?}");
        assert!(may_accept(req.headers()), "{:?}", req.headers());
    } else if rejection.kind() != Kind::Skipped {
        // Some range was read as one that rules the document out.
        let accept = lines(req.headers(), &ACCEPT).join(&b","[..]);
        assert!(
            accept
                .iter()
                .any(|byte| !matches!(byte, b' ' | b'\t' | b',')),
            "{accept:?}"
        );
    }
    is_explained && req.headers().contains_key(ACCEPT)
}

fn rejection(knob: u8) -> Rejection {
    const QUOTA: Allowance = Allowance {
        name: "per-user",
        limit: 100,
        window_secs: 60,
        remaining: 0,
        reset: Duration::from_secs(7),
    };
    let mut rejection = Rejection::new("fuzz", Kind::ALL[usize::from(knob % 5)]);
    if knob & 16 == 0 {
        rejection = rejection.with_retry_after(Duration::from_millis(u64::from(knob) * 97));
    }
    if knob & 32 == 0 {
        rejection = rejection.with_allowance(QUOTA);
    }
    rejection
}

/// Returns all bytes of a body that is ready at once, and checks its length.
fn collected(body: Answered) -> Vec<u8> {
    let length = body.size_hint().exact().expect("the length is known");
    let (mut body, mut all) = (pin!(body), Vec::new());
    let mut context = Context::from_waker(Waker::noop());
    while let Poll::Ready(Some(Ok(frame))) = body.as_mut().poll_frame(&mut context) {
        all.extend_from_slice(&frame.into_data().unwrap_or_default());
    }
    assert!(body.is_end_stream());
    assert_eq!(all.len() as u64, length);
    all
}

/// Returns whether `accept` is absent, empty, or names a range that covers problem documents.
fn may_accept(asked: &HeaderMap) -> bool {
    let accept = lines(asked, &ACCEPT).join(&b","[..]).to_ascii_lowercase();
    let mut ranges = accept.split(|byte| *byte == b',').map(|range| {
        let media = range.split(|byte| *byte == b';').next().unwrap_or_default();
        media.trim_ascii()
    });
    let covers: [&[u8]; 5] = [
        b"*/*",
        b"application/*",
        b"application/json",
        b"application/problem+json",
        b"",
    ];
    ranges.any(|media| covers.contains(&media))
}

fn pushback_is_in_time(answer: &HeaderMap, asked: &HeaderMap) {
    let Some(pushback) = answer.get("grpc-retry-pushback-ms") else {
        return;
    };
    let pushback: i32 = pushback.to_str().expect("text").parse().expect("a number");
    let timeout = asked.get(GRPC_TIMEOUT).map(http::HeaderValue::as_bytes);
    if let Some(timeout) = timeout.and_then(plimsoll_core::support::parse_grpc_timeout)
        && let Ok(pushback) = u64::try_from(pushback)
    {
        assert!(
            Duration::from_millis(pushback) < timeout,
            "{pushback} ms of {timeout:?}"
        );
    }
}
