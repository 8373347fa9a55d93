//! Requests without a key: the decision about them, and how operators notice them.

use std::{
    any::type_name,
    cell::Cell,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use super::Key;
use crate::{Kind, count::Counter, panics};

/// Decides about requests without a key.
///
/// Every such request is counted (in the policy's handle, and by
/// [`Observe::missing_key`](crate::Observe::missing_key) for each gate). The first one of each
/// policy is logged as a warning through `tracing`, with the probable cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// Admits them without a limit.
    Admit,
    /// Rejects them, by a policy called `missing-key`.
    Reject(Kind),
    /// Counts them all in one shared cell.
    Share,
}

impl Missing {
    /// Rejects requests without a key as over quota (429, `RESOURCE_EXHAUSTED`).
    ///
    /// Right for callers that must send a key, and for development: a set-up that reads no key from
    /// any request then fails at the first one, instead of limiting all callers together.
    ///
    /// ```
    /// use plimsoll_core::Missing;
    /// let missing = if cfg!(debug_assertions) { Missing::REJECT } else { Missing::Share };
    /// # _ = missing;
    /// ```
    pub const REJECT: Self = Self::Reject(Kind::OverQuota);

    /// The decision in past tense, for the warning.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Admit => "admitted, unlimited",
            Self::Reject(_) => "rejected",
            Self::Share => "limited together, as one caller",
        }
    }
}

thread_local! {
    /// Requests without a key that policies noted on this thread. A gate compares it before and
    /// after a decision.
    static NOTED: Cell<u32> = const { Cell::new(0) };
}

/// Returns how often [`MissingKeys::note`] was called on this thread, modulo 2^32.
#[inline]
pub(crate) fn noted() -> u32 {
    NOTED.get()
}

/// Counts the requests without a key of one policy, and logs a warning for the first.
///
/// For your own policies that read keys; [`Keyed`](crate::Keyed) has one.
#[derive(Debug, Default)]
pub struct MissingKeys {
    count: Counter,
    warned: AtomicBool,
}

impl MissingKeys {
    /// A count of zero.
    pub const fn new() -> Self {
        Self {
            count: Counter::new(),
            warned: AtomicBool::new(false),
        }
    }

    /// Counts a request from which `key` read nothing. Call it in the policy's `admit`.
    ///
    /// The first call logs a warning through `tracing`, with the target `plimsoll` and the advice
    /// of [`Key::cure`].
    #[cold]
    #[inline(never)]
    pub fn note<Req, K: Key<Req>>(&self, key: &K, req: &Req, missing: Missing) {
        self.count.add();
        NOTED.set(NOTED.get().wrapping_add(1));
        if self.warned.load(Relaxed) || self.warned.swap(true, Relaxed) {
            return;
        }
        // Law 10: a panic of a subscriber loses only this event.
        panics::contain(|| {
            tracing::warn!(
                target: "plimsoll",
                key = type_name::<K>(),
                cure = key.cure(req),
                "a request has no key; requests without a key are {}",
                missing.as_str(),
            );
        });
    }

    /// Returns the number of requests without a key so far.
    pub fn get(&self) -> u64 {
        self.count.get()
    }
}
