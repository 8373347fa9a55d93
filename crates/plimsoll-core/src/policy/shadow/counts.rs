//! What a shadow would have rejected: counters by kind and by key, and callbacks.

use std::{
    collections::HashMap,
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use tokio::time::Instant;

use crate::{Kind, Rejection, callbacks::Callbacks, count::Counter};

/// A rejection of a policy in a [`Shadow`](crate::Shadow), as passed to callbacks.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct ShadowRejection<'a> {
    /// The policy that rejected the request, the reason, and when to retry.
    pub rejection: &'a Rejection,
    /// The [label](crate::Key::label) of the key, for a shadow [by key](crate::Shadow::by_key).
    pub key: Option<&'a str>,
    /// When the policy decided.
    pub at: Instant,
    /// Whether the request was really rejected, because the shadow is enforced.
    pub enforced: bool,
}

/// What a [`Shadow`](crate::Shadow) would have rejected, by key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShadowKeys {
    /// Rejections by [label](crate::Key::label), the highest count first.
    pub counts: Vec<(Box<str>, u64)>,
    /// Rejections of further keys, which found the table full.
    pub other: u64,
    /// Rejections of requests without a key, and of keys without a label.
    pub unlabelled: u64,
}

/// Rejections by key, for a bounded number of keys.
#[derive(Debug)]
struct Keys {
    capacity: usize,
    counts: Mutex<HashMap<Box<str>, u64>>,
    other: Counter,
    unlabelled: Counter,
}

type Callback = dyn Fn(&ShadowRejection<'_>) + Send + Sync;

/// The counters of a shadow.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) enforced: AtomicBool,
    pub(super) would_admit: AtomicU64,
    pub(super) would_wait: AtomicU64,
    pub(super) rejected: [Counter; Kind::ALL.len()],
    keys: OnceLock<Keys>,
    pub(super) callbacks: Callbacks<Callback>,
}

impl Counts {
    /// Counts by key from now on. Only the first call has an effect.
    pub(super) fn count_keys(&self, capacity: usize) {
        _ = self.keys.set(Keys {
            capacity,
            counts: Mutex::default(),
            other: Counter::new(),
            unlabelled: Counter::new(),
        });
    }

    /// Counts a rejection and reports it. `label` is called when it is counted or reported by key.
    #[cold]
    pub(super) fn rejected(
        &self,
        rejection: &Rejection,
        at: Instant,
        label: impl FnOnce() -> Option<Box<str>>,
    ) {
        self.rejected[rejection.kind().index()].add();
        let keys = self.keys.get();
        let label = keys.and_then(|_| label());
        self.callbacks.each(|callback| {
            callback(&ShadowRejection {
                rejection,
                key: label.as_deref(),
                at,
                enforced: self.enforced.load(Relaxed),
            });
        });
        if let Some(keys) = keys {
            keys.add(label);
        }
    }

    pub(super) fn by_key(&self) -> ShadowKeys {
        self.keys.get().map(Keys::read).unwrap_or_default()
    }
}

impl Keys {
    fn add(&self, label: Option<Box<str>>) {
        let Some(label) = label else {
            return self.unlabelled.add();
        };
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let has_room = counts.len() < self.capacity;
        match counts.get_mut(&label) {
            Some(count) => *count += 1,
            None if has_room => _ = counts.insert(label, 1),
            None => self.other.add(),
        }
    }

    fn read(&self) -> ShadowKeys {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut counts: Vec<(Box<str>, u64)> = counts
            .iter()
            .map(|(label, count)| (label.clone(), *count))
            .collect();
        counts.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        ShadowKeys {
            counts,
            other: self.other.get(),
            unlabelled: self.unlabelled.get(),
        }
    }
}
