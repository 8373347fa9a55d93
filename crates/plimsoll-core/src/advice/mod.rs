//! What a response tells its client: when to come back, and what is left.

mod fields;
mod member;
mod retry_after;

use std::time::Duration;
#[allow(clippy::disallowed_types)] // what HTTP dates are; no clock is read here
use std::time::SystemTime;

use http::{HeaderMap, header::AGE};

use crate::rate_limit_fields::{RATELIMIT, RATELIMIT_POLICY};

/// What a response tells its client in `Retry-After`, `RateLimit` and `RateLimit-Policy`: for code that calls a limited
/// server.
///
/// A field that is malformed is ignored as a whole, over all its lines, as the draft
/// (draft-ietf-httpapi-ratelimit-headers, -08 to -11) and RFC 9651 want it: a name that is no String, a required
/// parameter that is missing, a known parameter of the wrong type or out of range, optional ones included. Unknown
/// parameters are skipped. A field of more than 64 KiB is not read. `RateLimit` and `RateLimit-Policy` of a response
/// that has been in a cache (`Age` above zero) are ignored too.
///
/// ```
/// use std::time::Duration;
/// use plimsoll_core::RateLimitAdvice;
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
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimitAdvice {
    /// `Retry-After`, from the moment the response was sent.
    pub retry_after: Option<Duration>,
    /// The members of `RateLimit`.
    pub left: Vec<QuotaLeft>,
    /// The members of `RateLimit-Policy`.
    pub policies: Vec<QuotaPolicy>,
}

/// What is left of a quota: a member of `RateLimit`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct QuotaLeft {
    /// The name of the policy.
    pub name: String,
    /// `r`: what may be spent. No promise: the server may refuse all the same.
    pub remaining: u64,
    /// `t`: spend no more than that before this long has passed.
    pub reset: Option<Duration>,
    /// `pk`: which of the server's partitions this is about.
    pub partition: Option<Vec<u8>>,
}

/// A quota: a member of `RateLimit-Policy`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct QuotaPolicy {
    /// The name of the policy.
    pub name: String,
    /// `q`: so much per window.
    pub limit: u64,
    /// `qu`: of what.
    pub unit: QuotaUnit,
    /// `w`: the window.
    pub window: Option<Duration>,
    /// `pk`: which of the server's partitions this is about.
    pub partition: Option<Vec<u8>>,
}

/// What a quota counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum QuotaUnit {
    /// `requests`, or not said.
    #[default]
    Requests,
    /// `content-bytes`.
    ContentBytes,
    /// `concurrent-requests`.
    ConcurrentRequests,
    /// Another unit.
    Other(String),
}

impl RateLimitAdvice {
    /// Reads the head of a response. A `Retry-After` that is a date counts from the response's `Date`; without one it is
    /// ignored.
    pub fn read(headers: &HeaderMap) -> Self {
        Self::of(headers, None)
    }

    /// The same, where a response without `Date` was sent at `received`.
    #[allow(clippy::disallowed_types)] // as above
    pub fn read_at(headers: &HeaderMap, received: SystemTime) -> Self {
        Self::of(headers, Some(received))
    }

    #[allow(clippy::disallowed_types)] // as above
    fn of(headers: &HeaderMap, received: Option<SystemTime>) -> Self {
        let retry_after = retry_after::read(headers, received);
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

    /// How long to stay away, and never more than `longest`: `Retry-After` if there is one, otherwise the longest `t` of the
    /// quotas of which nothing is left. `None`: the response does not say.
    pub fn wait(&self, longest: Duration) -> Option<Duration> {
        let spent = self.left.iter().filter(|quota| quota.remaining == 0);
        self.retry_after
            .or_else(|| spent.filter_map(|quota| quota.reset).max())
            .map(|wait| wait.min(longest))
    }
}
