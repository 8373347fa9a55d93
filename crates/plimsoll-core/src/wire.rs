//! The names of what one service tells the next.
//!
//! None is a standard: where a fleet has names of its own, [`ByHeader`](crate::ByHeader) and
//! [`Deadlines`](crate::Deadlines) take those.

use http::{HeaderMap, HeaderName};

/// On requests: the name of the [`Criticality`](crate::Criticality), such as `SHEDDABLE_PLUS`.
pub const CRITICALITY: HeaderName = HeaderName::from_static("plimsoll-criticality");
/// On requests: the cohort, 0 to 127, in digits.
pub const COHORT: HeaderName = HeaderName::from_static("plimsoll-cohort");
/// On requests that are not gRPC: the time left, in whole milliseconds.
pub const TIMEOUT: HeaderName = HeaderName::from_static("plimsoll-timeout-ms");
/// On responses, and in gRPC trailers: the [level](crate::Priority::level) below which the callee sheds now, 0 to 511.
pub const THRESHOLD: HeaderName = HeaderName::from_static("plimsoll-threshold");

/// The [`THRESHOLD`] in a response's headers or trailers. What is not 0 to 511 in digits counts as absent; of several lines
/// the highest counts.
pub fn threshold(headers: &HeaderMap) -> Option<u16> {
    let lines = headers.get_all(THRESHOLD).iter();
    lines
        .filter_map(|line| small_number(line.as_bytes(), crate::Priority::LEVELS))
        .max()
}

/// One to three digits that make a number below `bound`.
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
    fn reads_a_threshold_and_nothing_like_one() {
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
