//! Which response headers tell a caller its quota.

mod draft;
mod known;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::{Allowance, allowance::whole_seconds, decimal::decimal};

/// `RateLimit-Policy` of draft-ietf-httpapi-ratelimit-headers.
pub(crate) const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// `RateLimit` of the same draft.
pub(crate) const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
const X_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const X_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const X_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// Which headers tell callers their quota, on refusals and on accepted answers.
///
/// The fields are a draft (draft-ietf-httpapi-ratelimit-headers) that still moves; the constants are named after its
/// versions, and the default may move on with it in a minor release. To serve clients of the draft and of the old
/// headers for a while, say [`RateLimitFields::DRAFT_11.and_legacy()`](Self::and_legacy).
///
/// ```
/// use plimsoll_core::{Http, RateLimitFields};
/// let http = Http::new().rate_limit_fields(RateLimitFields::DRAFT_11.and_legacy());
/// # let _ = http;
/// ```
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
    /// `RateLimit-Policy: "name";q=100;w=60` and `RateLimit: "name";r=50;t=30`, one list member for each quota, as in
    /// drafts -08 to -11. The default.
    pub const DRAFT_11: Self = Self::of(Some(Draft::V11), false);

    /// `RateLimit-Policy: 100;w=60` and `RateLimit: limit=100, remaining=50, reset=30`, as in draft -07. It has room for
    /// what is left of one quota: of several, the one with the least left is told. A quota without a window of whole
    /// seconds has no policy field.
    pub const DRAFT_07: Self = Self::of(Some(Draft::V07), false);

    /// `X-RateLimit-Limit`, `-Remaining` and `-Reset` (seconds from now), which no document defines. One quota, as in
    /// -07.
    pub const LEGACY: Self = Self::of(None, true);

    /// No such headers.
    pub const NONE: Self = Self::of(None, false);

    const fn of(draft: Option<Draft>, legacy: bool) -> Self {
        Self { draft, legacy }
    }

    /// These and the [legacy](Self::LEGACY) headers.
    #[must_use]
    pub const fn and_legacy(self) -> Self {
        Self::of(self.draft, true)
    }

    /// Adds a quota to `headers`, which may hold others.
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

    /// The values of `RateLimit-Policy` and `RateLimit`.
    #[inline]
    pub(crate) fn pair(self, quota: &Allowance) -> (Option<HeaderValue>, Option<HeaderValue>) {
        match self.draft {
            None => (None, None),
            Some(Draft::V11) => known::draft_11(quota),
            Some(Draft::V07) => draft::v07(quota),
        }
    }

    /// The legacy headers, if chosen, unless a tighter quota has written them.
    pub(crate) fn write_legacy(self, quota: &Allowance, headers: &mut HeaderMap) {
        if !self.legacy {
            return;
        }
        let told = headers.get_all(X_REMAINING).iter().filter_map(number).min();
        if is_tighter(quota, told) {
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

/// Whether this quota leaves less than one that has been written.
fn is_tighter(quota: &Allowance, known: Option<u64>) -> bool {
    known.is_none_or(|known| quota.offered() < known)
}

/// The least that is left according to `RateLimit` of draft -07, over all its lines.
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

// Both fail only past 32,768 headers, and then the response is lost for other reasons.
fn append(headers: &mut HeaderMap, name: HeaderName, value: HeaderValue) {
    _ = headers.try_append(name, value);
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: HeaderValue) {
    _ = headers.try_insert(name, value);
}
