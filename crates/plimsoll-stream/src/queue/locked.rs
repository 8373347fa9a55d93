//! The lock of the state for an operation that is not short.

use std::ops::{Deref, DerefMut};

use super::{batch::Taken, lock::Guard, state::State};

/// The state, and the batch if there may be items in it.
pub(crate) struct Locked<'a, T> {
    state: Guard<'a, State<T>>,
    batch: Option<Guard<'a, Taken<T>>>,
}

impl<'a, T> From<Guard<'a, State<T>>> for Locked<'a, T> {
    #[inline]
    fn from(state: Guard<'a, State<T>>) -> Self {
        Self { state, batch: None }
    }
}

impl<T> Deref for Locked<'_, T> {
    type Target = State<T>;

    #[inline]
    fn deref(&self) -> &State<T> {
        &self.state
    }
}

impl<T> DerefMut for Locked<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut State<T> {
        &mut self.state
    }
}

impl<'a, T> Locked<'a, T> {
    pub(super) fn with_batch(mut state: Guard<'a, State<T>>, batch: Guard<'a, Taken<T>>) -> Self {
        state.batched = batch.items.len();
        let batch = Some(batch);
        Self { state, batch }
    }

    /// Puts the items of the batch back into the ring, for an operation that needs all in one place.
    #[inline]
    pub(super) fn put_back(&mut self) {
        if let Some(mut batch) = self.batch.take() {
            self.state.ring.put_back(&mut batch.items);
            self.state.batched = 0;
        }
    }

    /// Notes in the batch whether its next receive must grant a sender: see the file `batch`.
    #[inline]
    pub(crate) fn note_senders(&mut self) {
        if let Some(batch) = &mut self.batch {
            batch.owes_grant = !self.state.senders.is_empty() && self.state.granted_senders == 0;
        }
    }
}
