//! What few calls need.

use std::sync::Arc;

use super::{decide::Attempts, handle::Shared};
use crate::budget::Taken;

/// What a call needs once an attempt has failed, or once its trailers decide.
// Performance: boxed, since a call without it is made and dropped in fewer steps (`instructions`,
// `retry@accept`).
pub(super) struct Later<P>(Option<Box<Kept<P>>>);

pub(super) struct Kept<P> {
    pub(super) attempts: Attempts,
    /// The budget's permission for the retry that is waited for.
    pub(super) retry: Option<Taken>,
    /// An answer whose body is read: for its trailers, or to be discarded.
    pub(super) peek: Option<P>,
    shared: Arc<Shared>,
}

impl<P> Later<P> {
    #[inline]
    pub(super) fn new() -> Self {
        Self(None)
    }

    pub(super) fn get(&mut self, shared: &Arc<Shared>) -> &mut Kept<P> {
        self.0.get_or_insert_with(|| {
            Box::new(Kept {
                attempts: Attempts::default(),
                retry: None,
                peek: None,
                shared: Arc::clone(shared),
            })
        })
    }

    pub(super) fn peek(&mut self) -> Option<&mut P> {
        self.0.as_mut()?.peek.as_mut()
    }

    pub(super) fn take_peek(&mut self) -> Option<P> {
        self.0.as_mut()?.peek.take()
    }
}

impl<P> Drop for Later<P> {
    #[inline]
    fn drop(&mut self) {
        if self.0.is_some() {
            end(self.0.take());
        }
    }
}

#[cold]
#[inline(never)]
fn end<P>(kept: Option<Box<Kept<P>>>) {
    drop(kept);
}

/// Returns a retry that was not sent to the budget.
impl<P> Drop for Kept<P> {
    fn drop(&mut self) {
        if let Some(taken) = self.retry.take() {
            self.shared.budget.put_back(taken);
        }
    }
}
