//! What an answer asks of retries: `Retry-After`, quotas, and gRPC's pushback and `RetryInfo`.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use plimsoll_core::{Kind, Rejection, support::retry_info};

use crate::RateLimitAdvice;

const PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");
const DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");

/// When an answer asks to be retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum RetryHint {
    /// The answer contains no hint: the backoff decides.
    #[default]
    None,
    /// Not before this time has passed: `Retry-After`, a quota without units left, or gRPC's
    /// `RetryInfo`. Waits are spread upwards from it.
    AtLeast(Duration),
    /// After exactly this time: gRPC's pushback. The backoff starts again after it.
    Exactly(Duration),
    /// Not at all.
    Never,
}

impl RetryHint {
    /// Reads `Retry-After`, or without it the `RateLimit` field of a quota with nothing left; waits
    /// above `longest` are shortened to it.
    ///
    /// `Retry-After` is in seconds or a date in one of HTTP's three forms. A date is measured from the
    /// answer's `Date`, so that the clocks of client and server may differ; without `Date` it is
    /// ignored. A date that has passed is a wait of zero. A malformed field counts as absent.
    pub fn http(headers: &HeaderMap, longest: Duration) -> Self {
        match RateLimitAdvice::read(headers).wait(longest) {
            Some(wait) => Self::AtLeast(wait),
            None => Self::None,
        }
    }

    /// Reads `grpc-retry-pushback-ms` in the final metadata of a gRPC call, as gRFC A6 requires, or
    /// without it `google.rpc.RetryInfo` in `grpc-status-details-bin`.
    ///
    /// A pushback is a signed 32-bit number without superfluous zeros. A negative, malformed or
    /// repeated value means [`Never`](Self::Never). The delay of a `RetryInfo` is a lower bound, and
    /// shortened to `longest`; a malformed or repeated one counts as absent, and so do details above
    /// 8 KiB.
    pub fn grpc(metadata: &HeaderMap, longest: Duration) -> Self {
        let mut lines = metadata.get_all(PUSHBACK).iter();
        match (lines.next(), lines.next()) {
            (None, _) => match only(metadata, DETAILS).and_then(retry_info) {
                Some(wait) => Self::AtLeast(wait.min(longest)),
                None => Self::None,
            },
            (Some(line), None) => match millis(line.as_bytes()) {
                Some(wait) => Self::Exactly(wait),
                None => Self::Never,
            },
            (Some(_), Some(_)) => Self::Never,
        }
    }

    /// Reads the rejection of a gate in this process. Its retry hint is a lower bound; a quota that
    /// will never admit the call, a deadline and a sampler are never retried.
    pub fn rejection(rejection: &Rejection, longest: Duration) -> Self {
        match (rejection.kind(), rejection.retry_after()) {
            (Kind::Deadline | Kind::Skipped, _) | (Kind::OverQuota | Kind::CircuitOpen, None) => {
                Self::Never
            }
            (_, None) => Self::None,
            (_, Some(wait)) => Self::AtLeast(wait.min(longest)),
        }
    }
}

/// Returns the value of a field that is there once.
fn only(metadata: &HeaderMap, name: HeaderName) -> Option<&HeaderValue> {
    let mut lines = metadata.get_all(name).iter();
    lines.next().filter(|_| lines.next().is_none())
}

/// Reads `0`, or digits without a leading zero, up to 2^31 - 1.
fn millis(value: &[u8]) -> Option<Duration> {
    let canonical = match value {
        [b'0'] => true,
        [b'1'..=b'9', rest @ ..] => rest.len() < 10 && rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    let add = |sum: u64, digit: &u8| sum * 10 + u64::from(digit - b'0');
    let millis = canonical.then(|| value.iter().fold(0, add))?;
    let fits = i32::try_from(millis).is_ok();
    fits.then_some(Duration::from_millis(millis))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// The longest wait of the tests.
    const HOUR: Duration = Duration::from_secs(3600);
    /// `google.rpc.Status` with a `RetryInfo` of 1.5 s, as protoc writes it.
    const DETAILS: &str = "CAgSDHJhdGUgbGltaXRlZBo2Cih0eXBlLmdvb2dsZWFwaXMuY29tL2dvb2dsZS5ycGMuUmV0cnlJbmZvEgoKCAgBEIDKte4B";

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let line = |(name, value): &(&'static str, &str)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_str(value).unwrap(),
            )
        };
        lines.iter().map(line).collect()
    }

    #[test]
    fn pushback_is_read_to_the_letter() {
        let ms = |n| RetryHint::Exactly(Duration::from_millis(n));
        for (value, hint) in [
            ("0", ms(0)),
            ("250", ms(250)),
            ("2147483647", ms(2_147_483_647)),
            ("2147483648", RetryHint::Never),
            ("99999999999999999999", RetryHint::Never),
            ("-1", RetryHint::Never),
            ("-0", RetryHint::Never),
            ("+5", RetryHint::Never),
            ("007", RetryHint::Never),
            ("00", RetryHint::Never),
            ("", RetryHint::Never),
            ("5 ", RetryHint::Never),
            ("1.5", RetryHint::Never),
            ("x", RetryHint::Never),
        ] {
            let read = RetryHint::grpc(&headers(&[("grpc-retry-pushback-ms", value)]), HOUR);
            assert_eq!(read, hint, "{value:?}");
        }
        let twice = [
            ("grpc-retry-pushback-ms", "5"),
            ("grpc-retry-pushback-ms", "5"),
        ];
        assert_eq!(RetryHint::grpc(&headers(&twice), HOUR), RetryHint::Never);
        let nothing = RetryHint::grpc(&HeaderMap::new(), HOUR);
        assert_eq!(nothing, RetryHint::None);
    }

    #[test]
    fn retry_info_is_a_lower_bound_without_a_pushback() {
        let info = ("grpc-status-details-bin", DETAILS);
        let read = |lines: &[_], longest| RetryHint::grpc(&headers(lines), longest);
        let at_least = |millis| RetryHint::AtLeast(Duration::from_millis(millis));
        assert_eq!(read(&[info], HOUR), at_least(1500));
        let second = Duration::from_secs(1);
        assert_eq!(read(&[info], second), at_least(1000), "the ceiling");
        assert_eq!(read(&[info, info], HOUR), RetryHint::None, "repeated");
        let malformed = ("grpc-status-details-bin", "CAgS!");
        assert_eq!(read(&[malformed], HOUR), RetryHint::None);
        for (pushback, hint) in [
            ("0", RetryHint::Exactly(Duration::ZERO)),
            ("-1", RetryHint::Never),
            ("x", RetryHint::Never),
        ] {
            let both = [info, ("grpc-retry-pushback-ms", pushback)];
            assert_eq!(read(&both, HOUR), hint, "{pushback:?}");
        }
    }

    #[test]
    fn retry_after_has_seconds_and_three_forms_of_dates() {
        let read = |lines: &[_]| RetryHint::http(&headers(lines), HOUR);
        let secs = |n| RetryHint::AtLeast(Duration::from_secs(n));
        assert_eq!(read(&[("retry-after", "120")]), secs(120));
        assert_eq!(read(&[("retry-after", "7201")]), secs(3600), "the ceiling");
        let date = ("date", "Sun, 06 Nov 1994 08:48:37 GMT");
        for form in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(read(&[date, ("retry-after", form)]), secs(60), "{form}");
        }
        let past = "Sun, 06 Nov 1994 08:47:37 GMT";
        assert_eq!(read(&[date, ("retry-after", past)]), secs(0), "in the past");
        for malformed in ["", "-1", "+1", "1.5", "1s", "soon", "Sun, 06 Nov"] {
            let hint = read(&[date, ("retry-after", malformed)]);
            assert_eq!(hint, RetryHint::None, "{malformed:?}");
        }
    }
}
