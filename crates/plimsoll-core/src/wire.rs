//! The headers that services of a fleet exchange.
//!
//! None of them is a standard. [`ByHeader`](crate::ByHeader) and [`Deadlines`](crate::Deadlines)
//! can use a fleet's own names.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header::CONTENT_TYPE};

/// On requests: the name of the [`Criticality`](crate::Criticality), such as `SHEDDABLE_PLUS`.
pub const CRITICALITY: HeaderName = HeaderName::from_static("plimsoll-criticality");
/// On requests: the cohort, 0 to 127, in digits.
pub const COHORT: HeaderName = HeaderName::from_static("plimsoll-cohort");
/// On requests that are not gRPC: the time left, in whole milliseconds.
pub const TIMEOUT: HeaderName = HeaderName::from_static("plimsoll-timeout-ms");
/// On responses, and in gRPC trailers: the [level](crate::Priority::level) below which the callee
/// sheds now, 0 to 511.
pub const THRESHOLD: HeaderName = HeaderName::from_static("plimsoll-threshold");

/// On rejections and accepted responses: what is left of the caller's quotas, after
/// draft-ietf-httpapi-ratelimit-headers.
pub const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// Beside [`RATELIMIT`]: the quotas themselves.
pub const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// On rejections: the name of the policy. Its presence means that nothing was run, so a retry is safe
/// whatever the method.
pub const REJECTED_BY: HeaderName = HeaderName::from_static("plimsoll-rejected-by");

/// Reads the [`THRESHOLD`] in a response's headers or trailers: the highest of several lines. A
/// value other than 0 to 511 in digits counts as absent.
pub fn threshold(headers: &HeaderMap) -> Option<u16> {
    let lines = headers.get_all(THRESHOLD).iter();
    lines
        .filter_map(|line| small_number(line.as_bytes(), crate::Priority::LEVELS))
        .max()
}

/// Returns whether a request is gRPC or gRPC-Web: a `POST` with one of their content types.
///
/// The content types are `application/grpc` and `application/grpc-web`, alone or followed by `+` or
/// `;`, and `application/grpc-web-text`.
///
/// - Every method except `POST` is answered as plain HTTP, whatever its content type. A gRPC status
///   is sent as `200 OK`, which a cache could store under a `GET`.
/// - The HTTP version is not checked. gRPC is HTTP/2 on the wire, but gRPC-Web comes over HTTP/1.1,
///   and `tonic_web` forwards it as `application/grpc` without changing the version.
pub fn is_grpc<B>(req: &Request<B>) -> bool {
    grpc_content_type(req.method(), req.headers()).is_some()
}

/// Returns the content type of a gRPC request, if the request [is gRPC](is_grpc).
pub(crate) fn grpc_content_type<'a>(
    method: &Method,
    headers: &'a HeaderMap,
) -> Option<&'a HeaderValue> {
    // Performance: the method first, so that most rejections look up no header (`instructions`,
    // `gate@reject`).
    if method != Method::POST {
        return None;
    }
    let content_type = headers.get(CONTENT_TYPE)?;
    let rest = content_type.as_bytes().strip_prefix(b"application/grpc")?;
    let rest = rest.strip_prefix(b"-web").unwrap_or(rest);
    let rest = rest.strip_prefix(b"-text").unwrap_or(rest);
    matches!(rest.first(), None | Some(b'+' | b';')).then_some(content_type)
}

/// Parses one to three digits that make a number below `bound`.
pub(crate) fn small_number(digits: &[u8], bound: u16) -> Option<u16> {
    if !(1..=3).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = digits
        .iter()
        .fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    (number < bound).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_grpc_needs_a_post_and_a_grpc_content_type() {
        let is = |method: Method, content_type: &str| {
            let req = Request::builder()
                .method(method)
                .header(CONTENT_TYPE, content_type);
            is_grpc(&req.body(()).unwrap())
        };
        for content_type in [
            "application/grpc",
            "application/grpc+proto",
            "application/grpc;charset=utf-8",
            "application/grpc-web",
            "application/grpc-web+proto",
            "application/grpc-web-text",
            "application/grpc-web-text+proto",
        ] {
            assert!(is(Method::POST, content_type), "{content_type}");
            for method in [Method::GET, Method::HEAD, Method::OPTIONS, Method::PUT] {
                assert!(!is(method.clone(), content_type), "{method} {content_type}");
            }
        }
        for content_type in [
            "application/grpcx",
            "application/grpc-webs",
            "application/json",
            "",
        ] {
            assert!(!is(Method::POST, content_type), "{content_type:?}");
        }
        assert!(!is_grpc(&Request::post("/").body(()).unwrap()));
    }

    #[test]
    fn threshold_reads_one_to_three_digits_below_512() {
        for (value, read) in [
            ("0", Some(0)),
            ("007", Some(7)),
            ("511", Some(511)),
            ("512", None),
            ("0511", None),
            ("", None),
            ("+5", None),
            ("5 ", None),
            ("-1", None),
        ] {
            let headers = HeaderMap::from_iter([(THRESHOLD, value.parse().unwrap())]);
            assert_eq!(threshold(&headers), read, "{value:?}");
        }
        assert_eq!(threshold(&HeaderMap::new()), None);
        let lines = ["x", "7", "300", "20"].map(|line| (THRESHOLD, line.parse().unwrap()));
        assert_eq!(threshold(&HeaderMap::from_iter(lines)), Some(300));
    }
}
