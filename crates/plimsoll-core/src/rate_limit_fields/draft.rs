//! The fields of the drafts, as structured fields (RFC 9651).
//!
//! They are Integers, and Strings that [`Allowance::is_name`] admits, which need no escape. So they are
//! written as text; `tests/it/wire/well_formed.rs` parses them again with `sfv`.

use bytes::Bytes;
use http::HeaderValue;

use crate::{Allowance, allowance::whole_seconds};

/// Returns a quota's name if it is a String without characters that need an escape.
pub(super) fn name_of(quota: &Allowance) -> Option<&'static str> {
    Some(quota.name).filter(|name| Allowance::is_name(name))
}

/// Writes `RateLimit-Policy` of draft -11.
pub(super) fn policy(name: &str, quota: &Allowance) -> Option<HeaderValue> {
    let limit = bounded(quota.limit);
    value(match bounded(quota.window_secs) {
        0 => format!("\"{name}\";q={limit}"),
        secs => format!("\"{name}\";q={limit};w={secs}"),
    })
}

/// Writes `RateLimit` of draft -11 with zeros.
pub(super) fn nothing_left(name: &str) -> String {
    format!("\"{name}\";r=0;t=0")
}

/// Writes both fields of draft -07.
pub(super) fn v07(quota: &Allowance) -> (Option<HeaderValue>, Option<HeaderValue>) {
    let (limit, secs) = (bounded(quota.limit), bounded(quota.window_secs));
    let policy = (secs > 0).then(|| format!("{limit};w={secs}"));
    let remaining = bounded(quota.offered());
    let reset = bounded(whole_seconds(quota.reset));
    let left = format!("limit={limit}, remaining={remaining}, reset={reset}");
    (policy.and_then(value), value(left))
}

/// Caps a number at the largest integer of structured fields (RFC 9651, section 3.3.1).
pub(super) fn bounded(number: u64) -> u64 {
    const LARGEST: u64 = 999_999_999_999_999;
    number.min(LARGEST)
}

fn value(text: String) -> Option<HeaderValue> {
    HeaderValue::from_maybe_shared(Bytes::from(text)).ok()
}
