//! The fields of the drafts, as structured fields.

use bytes::Bytes;
use http::HeaderValue;
use sfv::{DictSerializer, Integer, ItemSerializer, KeyRef, StringRef};

use crate::{Allowance, allowance::whole_seconds, decimal::digits};

/// A quota's name as a structured field's String; nothing when it cannot stand there.
pub(super) fn name_of(quota: &Allowance) -> Option<&'static StringRef> {
    let name = Some(quota.name).filter(|name| Allowance::is_name(name))?;
    StringRef::from_str(name).ok()
}

/// `RateLimit-Policy` of draft -11.
pub(super) fn policy(name: &StringRef, quota: &Allowance) -> Option<HeaderValue> {
    const Q: &KeyRef = KeyRef::constant("q");
    const W: &KeyRef = KeyRef::constant("w");
    let window = (quota.window_secs > 0).then_some((W, quota.window_secs));
    item(name, (Q, quota.limit), window)
}

/// `RateLimit` of draft -11.
pub(super) fn left(name: &StringRef, offered: u64, reset: u64) -> Option<HeaderValue> {
    const R: &KeyRef = KeyRef::constant("r");
    const T: &KeyRef = KeyRef::constant("t");
    item(name, (R, offered), Some((T, reset)))
}

/// `"name";a=1;b=2`.
fn item(
    name: &StringRef,
    (key, number): (&KeyRef, u64),
    other: Option<(&KeyRef, u64)>,
) -> Option<HeaderValue> {
    // Exactly as long as what goes into it (names need no escapes), so that it becomes the value without another
    // allocation.
    let length = |(key, number): (&KeyRef, u64)| key.as_str().len() + 2 + digits(bounded(number));
    let length = name.as_str().len() + 2 + length((key, number)) + other.map_or(0, length);
    let mut text = String::with_capacity(length);
    let item = ItemSerializer::with_buffer(&mut text)
        .bare_item(name)
        .parameter(key, integer(number));
    if let Some((key, number)) = other {
        _ = item.parameter(key, integer(number));
    }
    value(text)
}

/// Both fields of draft -07.
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

/// The largest integer a structured field can carry stands for all above it (RFC 9651, section 3.3.1).
fn bounded(number: u64) -> u64 {
    const LARGEST: u64 = 999_999_999_999_999;
    number.min(LARGEST)
}

fn integer(number: u64) -> Integer {
    Integer::try_from(bounded(number)).unwrap_or(Integer::MAX)
}

fn value(text: String) -> Option<HeaderValue> {
    HeaderValue::from_maybe_shared(Bytes::from(text)).ok()
}
