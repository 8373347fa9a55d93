//! Advice of a response about retries and quotas, for clients.

mod fields;
mod member;
mod quota;

use std::time::Duration;
#[allow(clippy::disallowed_types)] // The type of HTTP dates; no clock is read here.
use std::time::SystemTime;

use http::{HeaderMap, header::AGE};
use plimsoll_core::{
    support::retry_after,
    wire::{RATELIMIT, RATELIMIT_POLICY},
};

pub use self::quota::{QuotaLeft, QuotaPolicy, QuotaUnit};

/// Reads `Retry-After`, `RateLimit` and `RateLimit-Policy` of a response, for code that calls a
/// limited server.
///
/// A malformed field is ignored as a whole, over all its lines, as the draft
/// (draft-ietf-httpapi-ratelimit-headers, -08 to -11) and RFC 9651 require. Malformed is: a name
/// that is not a String, a missing required parameter, a known parameter (optional ones included)
/// of the wrong type or out of range. Unknown parameters are skipped. A field of more than 64 KiB
/// is not read. `RateLimit` and `RateLimit-Policy` are also ignored when the response comes from a
/// cache (`Age` above zero).
///
/// ```
/// use std::time::Duration;
/// use plimsoll_client::RateLimitAdvice;
///
/// let response = http::Response::builder()
///     .status(429)
///     .header("ratelimit-policy", r#""per-user";q=100;w=60"#)
///     .header("ratelimit", r#""per-user";r=0;t=5"#)
///     .body(())?;
/// let advice = RateLimitAdvice::read(response.headers());
/// assert_eq!(advice.policies[0].limit, 100);
/// assert_eq!(advice.wait(Duration::from_secs(60)), Some(Duration::from_secs(5)));
/// # Ok::<_, http::Error>(())
/// ```
#[doc(alias("retry-after", "x-ratelimit"))]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimitAdvice {
    /// `Retry-After`, measured from when the response was sent.
    pub retry_after: Option<Duration>,
    /// The members of `RateLimit`.
    pub left: Vec<QuotaLeft>,
    /// The members of `RateLimit-Policy`.
    pub policies: Vec<QuotaPolicy>,
}

impl RateLimitAdvice {
    /// Reads the head of a response. A `Retry-After` date is measured from the response's `Date`;
    /// without `Date` it is ignored.
    pub fn read(headers: &HeaderMap) -> Self {
        Self::of(headers, None)
    }

    /// As [`read`](Self::read); a response without `Date` counts as sent at `received`.
    #[allow(clippy::disallowed_types)] // as above
    pub fn read_at(headers: &HeaderMap, received: SystemTime) -> Self {
        Self::of(headers, Some(received))
    }

    #[allow(clippy::disallowed_types)] // as above
    fn of(headers: &HeaderMap, received: Option<SystemTime>) -> Self {
        let retry_after = retry_after(headers, received);
        let mut ages = headers.get_all(AGE).iter();
        if ages.any(|age| age.as_bytes().iter().any(|digit| *digit != b'0')) {
            return Self {
                retry_after,
                ..Self::default()
            };
        }
        Self {
            retry_after,
            left: member::read_all(headers, &RATELIMIT, fields::left),
            policies: member::read_all(headers, &RATELIMIT_POLICY, fields::policy),
        }
    }

    /// Returns how long to wait, at most `longest`. `None` when the response contains no wait.
    ///
    /// This is `Retry-After` if present. If not, it is the longest `t` of the quotas with nothing
    /// left.
    pub fn wait(&self, longest: Duration) -> Option<Duration> {
        let spent = self.left.iter().filter(|quota| quota.remaining == 0);
        self.retry_after
            .or_else(|| spent.filter_map(|quota| quota.reset).max())
            .map(|wait| wait.min(longest))
    }
}
