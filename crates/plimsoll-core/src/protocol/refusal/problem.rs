//! The body of a rejection: a problem document.

use ::http::{HeaderValue, StatusCode};
use bytes::Bytes;

use crate::{Allowance, Kind, Rejection};

pub(super) const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// Builds the body of RFC 9457, with the types of draft-ietf-httpapi-ratelimit-headers where they
/// fit.
///
/// Performance: with the default status and without a named quota it is a constant.
pub(super) fn problem(status: StatusCode, rejection: &Rejection) -> Bytes {
    const QUOTA: &str = r#"{"type":"https://iana.org/assignments/http-problem-types#quota-exceeded","title":"Request cannot be satisfied as assigned quota has been exceeded","status":429}"#;
    const CAPACITY: &str = r#"{"type":"https://iana.org/assignments/http-problem-types#temporary-reduced-capacity","title":"Request cannot be satisfied due to temporary server capacity constraints","status":503}"#;
    const DEADLINE: &str = r#"{"type":"about:blank","title":"Gateway Timeout","status":504}"#;
    let usual = match rejection.kind() {
        Kind::OverQuota => QUOTA,
        Kind::Full | Kind::CircuitOpen | Kind::Skipped => CAPACITY,
        Kind::Deadline => DEADLINE,
    };
    let (start, end) = usual.split_at(usual.len() - "503}".len());
    // A checked name has no quotes, backslashes or control characters, so JSON needs no escapes.
    let quota = rejection
        .allowance()
        .map(|quota| quota.name)
        .filter(|name| Allowance::is_name(name));
    if quota.is_none() && end.starts_with(status.as_str()) {
        return Bytes::from_static(usual.as_bytes());
    }
    let mut json = Vec::with_capacity(start.len() + 100);
    json.extend_from_slice(start.as_bytes());
    json.extend_from_slice(status.as_str().as_bytes());
    if let Some(name) = quota {
        json.extend_from_slice(b",\"violated-policies\":[\"");
        json.extend_from_slice(name.as_bytes());
        json.extend_from_slice(b"\"]");
    }
    json.push(b'}');
    Bytes::from(json)
}
