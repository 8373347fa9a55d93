//! A caller's quota, as response headers state it.

use std::time::Duration;

/// Longest name of a quota, in bytes: every response carries it. Tests fail when it differs:
/// `a_quota_name_has_1_to_64_characters`.
const MAX_NAME: usize = 64;

/// A caller's quota and what is left of it.
///
/// Written by [`RateLimitFields`](crate::RateLimitFields). Integers on the wire end at
/// 999,999,999,999,999, and never offer more than `limit`: a bucket may hold a larger burst, but
/// clients should not be invited to send all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// The name of the quota on the wire; see [`Allowance::is_name`]. With an invalid name, the
    /// fields that carry the name are omitted.
    pub name: &'static str,
    /// `q`: requests per window.
    pub limit: u64,
    /// `w`: the window in whole seconds, at least one. Omitted when zero.
    pub window_secs: u64,
    /// `r`: requests the caller may still send.
    pub remaining: u64,
    /// `t`: until the quota is full again or, with nothing remaining, until one request is
    /// available. Rounded up to seconds.
    ///
    /// The draft changed the meaning of `t`: up to -10 it is the time until the quota resets, since
    /// -11 the time within which `r` may be spent. This value is true in both: `r` can be spent
    /// until `t` has passed, and more is available after it.
    pub reset: Duration,
}

impl Allowance {
    /// Returns whether `name` is valid in the fields: 1 to 64 printable ASCII characters except `"`
    /// and `\`.
    pub const fn is_name(name: &str) -> bool {
        let bytes = name.as_bytes();
        let mut i = 0;
        while i < bytes.len() {
            if !matches!(bytes[i], 0x20..=0x7e) || matches!(bytes[i], b'"' | b'\\') {
                return false;
            }
            i += 1;
        }
        !bytes.is_empty() && bytes.len() <= MAX_NAME
    }

    /// Limits `t` to `wait`, so that `t` has passed when the caller retries.
    pub(crate) fn no_later_than(mut self, wait: Option<Duration>) -> Self {
        self.reset = wait.map_or(self.reset, |wait| self.reset.min(wait));
        self
    }

    /// Returns the `r` that the fields offer.
    pub(crate) fn offered(&self) -> u64 {
        self.remaining.min(self.limit)
    }
}

/// Rounds up to seconds, so that a caller never retries too early.
pub(crate) fn whole_seconds(duration: Duration) -> u64 {
    duration
        .as_secs()
        .saturating_add(u64::from(duration.subsec_nanos() > 0))
}
