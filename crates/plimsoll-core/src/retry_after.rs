//! How long a response asks its callers to wait: `Retry-After` in seconds, or as a date in one of
//! HTTP's three forms (RFC 9110, sections 5.6.7 and 10.2.3), and the pushback and the `RetryInfo` of
//! gRPC.

use std::time::Duration;
#[allow(clippy::disallowed_types)] // The type of HTTP dates; no clock is read here.
use std::time::SystemTime;

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{DATE, RETRY_AFTER},
};

use crate::protocol::retry_info;

const PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");
const DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");

/// Returns how long the head of a response asks its callers to wait.
///
/// A pushback takes precedence over `RetryInfo`. A negative one, which forbids the retry of one call,
/// is no wait; a `RetryInfo` beside it is.
///
/// Performance: inlined, so that the head is not passed to a function of this crate. The compiler
/// would then move each response once more (`instructions`, `gate@accept`).
#[inline]
pub(crate) fn wait(head: &HeaderMap) -> Option<Duration> {
    let retry_after = head.get(RETRY_AFTER);
    let (pushback, details) = (head.get(PUSHBACK), head.get(DETAILS));
    if retry_after.is_none() && pushback.is_none() && details.is_none() {
        return None;
    }
    wait_of(retry_after, head.get(DATE), pushback, details)
}

fn wait_of(
    retry_after: Option<&HeaderValue>,
    date: Option<&HeaderValue>,
    pushback: Option<&HeaderValue>,
    details: Option<&HeaderValue>,
) -> Option<Duration> {
    let pushback = pushback.and_then(|millis| {
        let millis: u32 = millis.to_str().ok()?.trim().parse().ok()?;
        Some(Duration::from_millis(millis.into()))
    });
    let retry_after = retry_after.and_then(|value| line(value, date));
    retry_after.max(pushback.or_else(|| retry_info(details?)))
}

/// Returns the longest `Retry-After` among the readable lines. A response should have at most one.
///
/// A date is measured from the response's `Date`, or from `received` without one.
#[allow(clippy::disallowed_types)] // as above
pub fn retry_after(headers: &HeaderMap, received: Option<SystemTime>) -> Option<Duration> {
    let sent = || headers.get(DATE).and_then(date).or(received);
    let lines = headers.get_all(RETRY_AFTER).iter();
    lines
        .filter_map(|line| seconds(line).or_else(|| Some(until(date(line)?, sent()?))))
        .max()
}

/// Returns the wait in one line, with the response's `Date`.
fn line(line: &HeaderValue, sent: Option<&HeaderValue>) -> Option<Duration> {
    seconds(line).or_else(|| Some(until(date(line)?, date(sent?)?)))
}

/// Reads `1*DIGIT`. Values beyond 64 bits saturate.
fn seconds(line: &HeaderValue) -> Option<Duration> {
    let digits = line.as_bytes().trim_ascii();
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let add = |sum: u64, digit: &u8| sum.saturating_mul(10).saturating_add((digit - b'0').into());
    Some(Duration::from_secs(digits.iter().fold(0, add)))
}

#[allow(clippy::disallowed_types)] // as above
fn date(line: &HeaderValue) -> Option<SystemTime> {
    httpdate::parse_http_date(line.to_str().ok()?).ok()
}

/// Returns the time from `sent` to `date`, zero when the date has passed.
#[allow(clippy::disallowed_types)] // as above
fn until(date: SystemTime, sent: SystemTime) -> Duration {
    date.duration_since(sent).unwrap_or_default()
}
