//! A caller's quota, as response headers state it.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Longest name of a quota, in bytes: every response carries it. Tests fail when it differs:
/// `a_quota_name_has_1_to_64_characters`.
const MAX_NAME: usize = 64;

/// Most names that are kept for the life of the process. With the longest names they take 256 KiB
/// and more plans than a configuration has. `names_from_an_unbounded_source_are_bounded` fails when
/// it differs.
const MAX_INTERNED: usize = 4096;

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

    /// Returns a copy of `name` that lives as long as the process, for names that are known only at
    /// run time, such as those of a configuration file.
    ///
    /// Equal names share one copy. So quotas and rejections stay plain data, and no request
    /// allocates for a name or counts references to it. At most 4,096 names are kept, so that names
    /// from an unbounded source do not grow memory.
    ///
    /// `None` when the name is not [valid](Self::is_name), or 4,096 other names are kept.
    ///
    /// ```
    /// use plimsoll_core::policy::Allowance;
    ///
    /// let name = String::from("per-client");
    /// assert_eq!(Allowance::intern(&name), Some("per-client"));
    /// assert_eq!(Allowance::intern("\""), None);
    /// ```
    pub fn intern(name: &str) -> Option<&'static str> {
        static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
        let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = names.get(name) {
            return Some(known);
        }
        if !Self::is_name(name) || names.len() >= MAX_INTERNED {
            return None;
        }
        let name: &'static str = Box::leak(name.into());
        names.insert(name);
        Some(name)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The only test of this process that fills the table.
    #[test]
    fn names_from_an_unbounded_source_are_bounded() {
        let first = Allowance::intern("first").expect("a name");
        let names = (0..).map(|n| format!("name-{n}"));
        let kept = names.take_while(|name| Allowance::intern(name).is_some());
        assert_eq!(kept.count(), MAX_INTERNED - 1);
        let again = Allowance::intern(&String::from("first")).expect("a kept name");
        assert!(std::ptr::eq(first, again));
    }
}
