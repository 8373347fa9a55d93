//! `Retry-After`: seconds, or a date in one of HTTP's three forms (RFC 9110, sections 5.6.7 and
//! 10.2.3).

use std::time::Duration;
#[allow(clippy::disallowed_types)] // The type of HTTP dates; no clock is read here.
use std::time::SystemTime;

use http::{
    HeaderMap, HeaderValue,
    header::{DATE, RETRY_AFTER},
};

/// Returns the longest wait among the readable lines. A response should have at most one line.
#[allow(clippy::disallowed_types)] // as above
pub(super) fn read(headers: &HeaderMap, received: Option<SystemTime>) -> Option<Duration> {
    let sent = || headers.get(DATE).and_then(date).or(received);
    let lines = headers.get_all(RETRY_AFTER).iter();
    lines
        .filter_map(|line| seconds(line).or_else(|| Some(until(date(line)?, sent()?))))
        .max()
}

/// Returns the wait in one line, with the response's `Date`.
pub(super) fn line(line: &HeaderValue, sent: Option<&HeaderValue>) -> Option<Duration> {
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
