//! The response headers that state a caller's quota.

mod draft;
mod known;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::{
    Allowance,
    allowance::whole_seconds,
    decimal::decimal,
    wire::{RATELIMIT, RATELIMIT_POLICY},
};

const X_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const X_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const X_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// The headers that state quotas to callers, on rejections and on accepted answers.
///
/// The fields come from a draft (draft-ietf-httpapi-ratelimit-headers) that still changes. The
/// constants are named after its versions, and the default may follow the draft in a minor release.
/// [`RateLimitFields::DRAFT_11.and_legacy()`](Self::and_legacy) serves clients of the draft and of
/// the old headers.
///
/// ```
/// use plimsoll_core::{Http, RateLimitFields};
/// let http = Http::new().rate_limit_fields(RateLimitFields::DRAFT_11.and_legacy());
/// # let _ = http;
/// ```
#[doc(alias("x-ratelimit", "ratelimit-policy"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimitFields {
    draft: Option<Draft>,
    legacy: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Draft {
    V07,
    V11,
}

impl RateLimitFields {
    /// `RateLimit-Policy: "name";q=100;w=60` and `RateLimit: "name";r=50;t=30`, one list member per
    /// quota, as in drafts -08 to -11. The default.
    pub const DRAFT_11: Self = Self::of(Some(Draft::V11), false);

    /// `RateLimit-Policy: 100;w=60` and `RateLimit: limit=100, remaining=50, reset=30`, as in draft
    /// -07.
    ///
    /// `RateLimit` has room for one quota: of several, the one with the least left. A quota without
    /// a window of whole seconds has no policy field.
    pub const DRAFT_07: Self = Self::of(Some(Draft::V07), false);

    /// `X-RateLimit-Limit`, `-Remaining` and `-Reset` (seconds from now), which no standard
    /// defines. One quota, as in draft -07.
    pub const LEGACY: Self = Self::of(None, true);

    /// No headers.
    pub const NONE: Self = Self::of(None, false);

    const fn of(draft: Option<Draft>, legacy: bool) -> Self {
        Self { draft, legacy }
    }

    /// Adds the [legacy](Self::LEGACY) headers.
    #[must_use]
    pub const fn and_legacy(self) -> Self {
        Self::of(self.draft, true)
    }

    /// Writes a quota to `headers`, which may contain other quotas.
    pub fn write(self, allowance: &Allowance, headers: &mut HeaderMap) {
        let (policy, left) = self.pair(allowance);
        if let Some(policy) = policy {
            append(headers, RATELIMIT_POLICY, policy);
        }
        match (left, self.draft) {
            (Some(left), Some(Draft::V11)) => append(headers, RATELIMIT, left),
            (Some(left), _) if is_tighter(allowance, dict_remaining(headers)) => {
                insert(headers, RATELIMIT, left);
            }
            _ => {}
        }
        self.write_legacy(allowance, headers);
    }

    /// Returns the values of `RateLimit-Policy` and `RateLimit`.
    #[inline]
    pub(crate) fn pair(self, quota: &Allowance) -> (Option<HeaderValue>, Option<HeaderValue>) {
        match self.draft {
            None => (None, None),
            Some(Draft::V11) => known::draft_11(quota),
            Some(Draft::V07) => draft::v07(quota),
        }
    }

    /// Writes the legacy headers, if enabled, unless a tighter quota has written them.
    pub(crate) fn write_legacy(self, quota: &Allowance, headers: &mut HeaderMap) {
        if !self.legacy {
            return;
        }
        let written = headers.get_all(X_REMAINING).iter().filter_map(number).min();
        if is_tighter(quota, written) {
            for (name, value) in [
                (X_LIMIT, quota.limit),
                (X_REMAINING, quota.offered()),
                (X_RESET, whole_seconds(quota.reset)),
            ] {
                insert(headers, name, decimal(value));
            }
        }
    }
}

impl Default for RateLimitFields {
    fn default() -> Self {
        Self::DRAFT_11
    }
}

/// Returns whether this quota leaves less than the one already written.
fn is_tighter(quota: &Allowance, known: Option<u64>) -> bool {
    known.is_none_or(|known| quota.offered() < known)
}

/// Returns the least that is left according to `RateLimit` of draft -07, over all its lines.
fn dict_remaining(headers: &HeaderMap) -> Option<u64> {
    let lines = headers.get_all(RATELIMIT).iter();
    let members = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','));
    members
        .filter_map(|member| member.trim().strip_prefix("remaining=")?.parse().ok())
        .min()
}

fn number(value: &HeaderValue) -> Option<u64> {
    value.to_str().ok()?.trim().parse().ok()
}

// Both fail only beyond 32,768 headers. The response is then too large in any case.
fn append(headers: &mut HeaderMap, name: HeaderName, value: HeaderValue) {
    _ = headers.try_append(name, value);
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: HeaderValue) {
    _ = headers.try_insert(name, value);
}
