//! The fields of the drafts, as structured fields.

use bytes::Bytes;
use http::HeaderValue;
use sfv::{DictSerializer, Integer, ItemSerializer, KeyRef, StringRef};

use crate::{Allowance, allowance::whole_seconds};

/// Returns a quota's name as a String of a structured field; `None` if it is not a valid one.
pub(super) fn name_of(quota: &Allowance) -> Option<&'static StringRef> {
    let name = Some(quota.name).filter(|name| Allowance::is_name(name))?;
    StringRef::from_str(name).ok()
}

/// Writes `RateLimit-Policy` of draft -11.
pub(super) fn policy(name: &StringRef, quota: &Allowance) -> Option<HeaderValue> {
    const Q: &KeyRef = KeyRef::constant("q");
    const W: &KeyRef = KeyRef::constant("w");
    let mut item = ItemSerializer::new()
        .bare_item(name)
        .parameter(Q, integer(quota.limit));
    if quota.window_secs > 0 {
        item = item.parameter(W, integer(quota.window_secs));
    }
    value(item.finish())
}

/// Writes `RateLimit` of draft -11 with zeros.
pub(super) fn nothing_left(name: &StringRef) -> String {
    const R: &KeyRef = KeyRef::constant("r");
    const T: &KeyRef = KeyRef::constant("t");
    let item = ItemSerializer::new().bare_item(name);
    item.parameter(R, 0).parameter(T, 0).finish()
}

/// Writes both fields of draft -07.
pub(super) fn v07(quota: &Allowance) -> (Option<HeaderValue>, Option<HeaderValue>) {
    const W: &KeyRef = KeyRef::constant("w");
    let policy = (quota.window_secs > 0).then(|| {
        ItemSerializer::new()
            .bare_item(integer(quota.limit))
            .parameter(W, integer(quota.window_secs))
            .finish()
    });
    let mut left = DictSerializer::new();
    for (key, number) in [
        (KeyRef::constant("limit"), quota.limit),
        (KeyRef::constant("remaining"), quota.offered()),
        (KeyRef::constant("reset"), whole_seconds(quota.reset)),
    ] {
        _ = left.bare_item(key, integer(number));
    }
    (policy.and_then(value), left.finish().and_then(value))
}

/// Caps a number at the largest integer of structured fields (RFC 9651, section 3.3.1).
pub(super) fn bounded(number: u64) -> u64 {
    const LARGEST: u64 = 999_999_999_999_999;
    number.min(LARGEST)
}

fn integer(number: u64) -> Integer {
    Integer::try_from(bounded(number)).unwrap_or(Integer::MAX)
}

fn value(text: String) -> Option<HeaderValue> {
    HeaderValue::from_maybe_shared(Bytes::from(text)).ok()
}
