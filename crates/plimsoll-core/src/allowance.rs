//! What a caller may spend, as its response headers tell it.

use std::time::Duration;

/// The longest name of a quota.
const MAX_NAME: usize = 64;

/// A caller's quota and what is left of it.
///
/// Written by [`RateLimitFields`](crate::RateLimitFields). On the wire integers end at 999,999,999,999,999, and no more
/// than `limit` is ever offered: a bucket may hold a larger burst, but a client need not be invited to send all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// The name of the quota on the wire; see [`Allowance::is_name`]. What names the quota is left out when this cannot
    /// stand there.
    pub name: &'static str,
    /// `q`: requests per window.
    pub limit: u64,
    /// `w`: the window, whole seconds and at least one. Left out when zero.
    pub window_secs: u64,
    /// `r`: requests the caller may still send.
    pub remaining: u64,
    /// `t`: with requests remaining, until the quota is whole again; with none, until there is one. Rounded up to
    /// seconds.
    ///
    /// The draft has changed what `t` means: up to -10 the time until the quota resets, since -11 the time within which
    /// `r` may be spent. This figure is honest in both: until `t` is over `r` can be spent, and after `t` there is
    /// more.
    pub reset: Duration,
}

impl Allowance {
    /// Whether `name` can stand in the fields: 1 to 64 printable ASCII characters other than `"` and `\`.
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

    /// This one, with a `t` no later than `wait`: who is told to come back then may count on it.
    pub(crate) fn no_later_than(mut self, wait: Option<Duration>) -> Self {
        self.reset = wait.map_or(self.reset, |wait| self.reset.min(wait));
        self
    }

    /// What the fields offer.
    pub(crate) fn offered(&self) -> u64 {
        self.remaining.min(self.limit)
    }
}

/// Seconds, rounded up: never earlier than the truth.
pub(crate) fn whole_seconds(duration: Duration) -> u64 {
    duration
        .as_secs()
        .saturating_add(u64::from(duration.subsec_nanos() > 0))
}
