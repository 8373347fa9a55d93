//! Requests without a key: what becomes of them, and how the operator learns of them.

use std::{
    any::type_name,
    cell::Cell,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use super::Key;
use crate::{Kind, count::Counter, panics};

/// What becomes of requests without a key.
///
/// Whatever is chosen, they are counted (the policy's handle, and
/// [`Observe::missing_key`](crate::Observe::missing_key) for each gate), and the first of each policy
/// is reported as a warning through `tracing`, with what is probably wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// They are admitted, unlimited.
    Admit,
    /// They are rejected, by a policy called `missing-key`.
    Refuse(Kind),
    /// They share one cell.
    Share,
}

impl Missing {
    /// Rejects requests without a key as over quota (429, `RESOURCE_EXHAUSTED`).
    ///
    /// Right for callers that have to send a key, and for development: a set-up that reads no key
    /// from any request then fails at the first one, instead of limiting all callers together.
    ///
    /// ```
    /// use plimsoll_core::Missing;
    /// let missing = if cfg!(debug_assertions) { Missing::REJECT } else { Missing::Share };
    /// # _ = missing;
    /// ```
    pub const REJECT: Self = Self::Refuse(Kind::OverQuota);

    /// Past tense, for messages.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Admit => "admitted, unlimited",
            Self::Refuse(_) => "rejected",
            Self::Share => "limited together, as one caller",
        }
    }
}

thread_local! {
    /// Requests without a key that policies noted on this thread, so that a gate can tell by the
    /// difference whether one of its policies did.
    static NOTED: Cell<u32> = const { Cell::new(0) };
}

/// How often [`MissingKeys::note`] was called on this thread, modulo 2^32.
#[inline]
pub(crate) fn noted() -> u32 {
    NOTED.get()
}

/// Counts the requests without a key of one policy, and warns of the first.
///
/// For policies of your own that read keys; [`Keyed`](crate::Keyed) has one.
#[derive(Debug, Default)]
pub struct MissingKeys {
    count: Counter,
    warned: AtomicBool,
}

impl MissingKeys {
    /// None so far.
    pub const fn new() -> Self {
        Self {
            count: Counter::new(),
            warned: AtomicBool::new(false),
        }
    }

    /// Counts a request from which `key` read nothing. To be called in the policy's `admit`.
    ///
    /// The first one is a warning through `tracing`, with the target `plimsoll` and the cure that
    /// [`Key::cure`] names.
    #[cold]
    #[inline(never)]
    pub fn note<Req, K: Key<Req>>(&self, key: &K, req: &Req, missing: Missing) {
        self.count.add();
        NOTED.set(NOTED.get().wrapping_add(1));
        if self.warned.load(Relaxed) || self.warned.swap(true, Relaxed) {
            return;
        }
        // Law 10: a subscriber that panics loses this event and nothing else.
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

    /// Requests without a key so far.
    pub fn get(&self) -> u64 {
        self.count.get()
    }
}
