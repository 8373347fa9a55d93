//! Callbacks of handles: called without a lock, and their panics are caught.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use crate::panics;

/// Callbacks that a handle adds and a policy calls. `F` is a `dyn Fn`.
pub struct Callbacks<F: ?Sized>(RwLock<Arc<[Arc<F>]>>);

impl<F: ?Sized> Callbacks<F> {
    /// Adds a callback; it is called after those that were added before.
    pub fn add(&self, callback: Arc<F>) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        *all = all.iter().cloned().chain([callback]).collect();
    }

    /// Returns whether there are no callbacks.
    pub fn is_empty(&self) -> bool {
        self.all().is_empty()
    }

    /// Passes each callback to `call`, without holding a lock. A panic is caught, so it fails
    /// neither the request nor the other callbacks.
    pub fn each(&self, call: impl Fn(&F)) {
        for callback in self.all().iter() {
            panics::contain(|| call(callback));
        }
    }

    fn all(&self) -> Arc<[Arc<F>]> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<F: ?Sized> Default for Callbacks<F> {
    fn default() -> Self {
        Self(RwLock::new(Arc::new([])))
    }
}

impl<F: ?Sized> fmt::Debug for Callbacks<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} callbacks", self.all().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callbacks_are_empty_until_one_is_added() {
        let callbacks = Callbacks::<dyn Fn()>::default();
        assert!(callbacks.is_empty());
        callbacks.add(Arc::new(|| {}));
        assert!(!callbacks.is_empty());
    }
}
