//! Fields that were made before.
//!
//! Making a structured field is a good part of what a refusal costs, and refusals are made by the thousand: the policy's
//! field is the same in all of them, and what is left is nothing, until the same second.

use std::cell::RefCell;

use http::HeaderValue;
use sfv::StringRef;

use super::draft;
use crate::{Allowance, allowance::whole_seconds};

/// Quotas whose fields each thread keeps. A server has a few; of those that share a slot the last one has it.
const SLOTS: usize = 16;

thread_local! {
    static KNOWN: RefCell<[Option<Known>; SLOTS]> = const { RefCell::new([const { None }; SLOTS]) };
}

struct Known {
    name: &'static StringRef,
    limit: u64,
    window_secs: u64,
    policy: HeaderValue,
    /// `RateLimit` with nothing left, and its `t`.
    spent: Option<(u64, HeaderValue)>,
}

/// Both fields of draft -11.
pub(super) fn draft_11(quota: &Allowance) -> (Option<HeaderValue>, Option<HeaderValue>) {
    let slot = slot_of(quota.name);
    KNOWN
        .try_with(|known| {
            let known = &mut known.try_borrow_mut().ok()?[slot];
            if !known.as_ref().is_some_and(|known| known.is_of(quota)) {
                *known = Known::new(quota);
            }
            let known = known.as_mut()?;
            Some((Some(known.policy.clone()), known.left(quota)))
        })
        .ok()
        .flatten()
        .unwrap_or_default()
}

/// Where a name lies tells names apart well enough, neighbours in memory too: the golden ratio spreads them (Knuth,
/// TAOCP volume 3, section 6.4).
fn slot_of(name: &'static str) -> usize {
    let spread = (name.as_ptr().addr() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (spread >> 32) as usize % SLOTS
}

impl Known {
    #[cold]
    fn new(quota: &Allowance) -> Option<Self> {
        let name = draft::name_of(quota)?;
        Some(Self {
            name,
            limit: quota.limit,
            window_secs: quota.window_secs,
            policy: draft::policy(name, quota)?,
            spent: None,
        })
    }

    /// Names are static, and the same quota's is the same: no need to compare letters.
    fn is_of(&self, quota: &Allowance) -> bool {
        std::ptr::eq(self.name.as_str(), quota.name)
            && self.limit == quota.limit
            && self.window_secs == quota.window_secs
    }

    fn left(&mut self, quota: &Allowance) -> Option<HeaderValue> {
        let (offered, reset) = (quota.offered(), whole_seconds(quota.reset));
        if offered > 0 {
            return draft::left(self.name, offered, reset);
        }
        if let Some((known, value)) = &self.spent
            && *known == reset
        {
            return Some(value.clone());
        }
        let value = draft::left(self.name, 0, reset)?;
        self.spent = Some((reset, value.clone()));
        Some(value)
    }
}
