//! Reads the counters of a shadow, and enforces it.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use super::counts::{Counts, ShadowKeys, ShadowRejection};
use crate::{Kind, count::Counter};

/// Reads the counters of a [`Shadow`](crate::Shadow), and turns enforcement on or off. Clones share
/// one shadow.
///
/// While [enforced](Self::enforce), the requests that are counted as rejected were really rejected.
#[derive(Debug, Clone)]
pub struct ShadowHandle(pub(super) Arc<Counts>);

impl ShadowHandle {
    /// Returns how many requests the policy admitted.
    pub fn would_admit(&self) -> u64 {
        self.0.would_admit.load(Relaxed)
    }

    /// Returns how many requests the policy rejected, for any reason.
    pub fn would_reject(&self) -> u64 {
        self.0.rejected.iter().map(Counter::get).sum()
    }

    /// Returns how many requests the policy rejected for this reason.
    pub fn would_reject_as(&self, kind: Kind) -> u64 {
        self.0.rejected[kind.index()].get()
    }

    /// Returns how many requests the policy rejected, by key.
    ///
    /// Empty unless the shadow counts [by key](crate::Shadow::by_key).
    pub fn would_reject_by_key(&self) -> ShadowKeys {
        self.0.by_key()
    }

    /// Returns how many requests the policy would have queued.
    pub fn would_wait(&self) -> u64 {
        self.0.would_wait.load(Relaxed)
    }

    /// Calls `callback` for each request that the policy rejects, enforced or not.
    ///
    /// The callback runs on the request's path, without a lock, and on several threads at once:
    /// update an atomic, or send to a channel, and return. A panic in it is caught. Callbacks add
    /// up.
    ///
    /// ```
    /// use plimsoll_core::Shadow;
    /// # let policy = ();
    ///
    /// let shadow = Shadow::new(policy);
    /// shadow.handle().on_rejection(|would| {
    ///     println!("{}, caller {}", would.rejection, would.key.unwrap_or("unknown"));
    /// });
    /// ```
    pub fn on_rejection(&self, callback: impl Fn(&ShadowRejection<'_>) + Send + Sync + 'static) {
        self.0.callbacks.add(Arc::new(callback));
    }

    /// Enforces rejections from now on (`true`), or only counts them (`false`, the default).
    pub fn enforce(&self, enforce: bool) {
        self.0.enforced.store(enforce, Relaxed);
    }

    /// Returns whether rejections are [enforced](Self::enforce).
    pub fn is_enforced(&self) -> bool {
        self.0.enforced.load(Relaxed)
    }
}
