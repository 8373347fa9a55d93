//! Callbacks for changes of a limit.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, PoisonError, RwLock},
};

use crate::LimitReason;

/// A change of a limit, as passed to callbacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LimitChange {
    /// The limit before.
    pub from: usize,
    /// The limit now.
    pub to: usize,
    /// Why the limit changed.
    pub reason: LimitReason,
}

type Callback = Arc<dyn Fn(&LimitChange) + Send + Sync>;

/// The callbacks of a limit.
#[derive(Default)]
pub(crate) struct Callbacks(RwLock<Vec<Callback>>);

impl Callbacks {
    pub(crate) fn add(&self, callback: Callback) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.push(callback);
    }

    /// Calls all callbacks, without holding a lock. A panic in one is caught, so it fails neither
    /// the request nor the other callbacks.
    pub(crate) fn call(&self, change: &LimitChange) {
        let all = self
            .0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        for callback in all {
            _ = catch_unwind(AssertUnwindSafe(|| callback(change)));
        }
    }
}

impl fmt::Debug for Callbacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        write!(f, "{} callbacks", all.len())
    }
}
