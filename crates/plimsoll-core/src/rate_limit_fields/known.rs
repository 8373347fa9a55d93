//! Cached parts of a quota's fields.
//!
//! Performance: serialising structured fields is a large part of the cost of a rejection. The
//! serialiser runs once per quota, and makes the policy's field as a whole, and the other field
//! with zeros that are replaced by numbers.

use std::cell::RefCell;

use bytes::Bytes;
use http::HeaderValue;

use super::draft::{self, bounded};
use crate::{Allowance, allowance::whole_seconds, decimal::written};

/// Quotas cached per thread. A server has a few; of those that share a slot, the last one is
/// cached.
const SLOTS: usize = 16;

thread_local! {
    static KNOWN: RefCell<[Option<Known>; SLOTS]> = const { RefCell::new([const { None }; SLOTS]) };
}

/// The fields of one quota.
struct Known {
    name: &'static str,
    limit: u64,
    window_secs: u64,
    policy: HeaderValue,
    /// `"name";r=0;t=0`.
    nothing_left: String,
}

/// Writes both fields of draft -11.
pub(super) fn draft_11(quota: &Allowance) -> (Option<HeaderValue>, Option<HeaderValue>) {
    let slot = slot_of(quota.name);
    KNOWN
        .try_with(|known| {
            let known = &mut known.try_borrow_mut().ok()?[slot];
            if !known.as_ref().is_some_and(|known| known.is_of(quota)) {
                *known = Known::new(quota);
            }
            let known = known.as_ref()?;
            Some((Some(known.policy.clone()), known.left(quota)))
        })
        .ok()
        .flatten()
        .unwrap_or_default()
}

/// Returns the slot of a name, from its address. Multiplying by the golden ratio spreads neighbours
/// (Knuth, TAOCP volume 3, section 6.4).
fn slot_of(name: &'static str) -> usize {
    let spread = (name.as_ptr().addr() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (spread >> 32) as usize % SLOTS
}

impl Known {
    #[cold]
    fn new(quota: &Allowance) -> Option<Self> {
        let name = draft::name_of(quota)?;
        Some(Self {
            name: quota.name,
            limit: quota.limit,
            window_secs: quota.window_secs,
            policy: draft::policy(name, quota)?,
            nothing_left: draft::nothing_left(name),
        })
    }

    /// Returns whether this is the quota. Names are static, so comparing their addresses is enough.
    fn is_of(&self, quota: &Allowance) -> bool {
        std::ptr::eq(self.name, quota.name)
            && self.limit == quota.limit
            && self.window_secs == quota.window_secs
    }

    /// Writes `RateLimit`, with one allocation.
    fn left(&self, quota: &Allowance) -> Option<HeaderValue> {
        const ZEROS: &str = "0;t=0";
        let (mut room, mut more_room) = ([0; 20], [0; 20]);
        let left = written(bounded(quota.offered()), &mut room);
        let reset = written(bounded(whole_seconds(quota.reset)), &mut more_room);
        let parts = [
            self.nothing_left.strip_suffix(ZEROS)?.as_bytes(),
            left,
            b";t=",
            reset,
        ];
        HeaderValue::from_maybe_shared(Bytes::from(parts.concat())).ok()
    }
}
