//! One step of the watcher at a time.

use std::sync::{Mutex, PoisonError};

/// What steps leave to the next one; `None` while one runs.
#[derive(Debug)]
pub(crate) struct Watching(Mutex<Option<State>>);

#[derive(Debug, Default)]
pub(crate) struct State {
    /// The number of the last event that was delivered.
    pub(crate) delivered: u64,
    #[cfg(feature = "tracing")]
    pub(crate) rejections: crate::trace::Rejections,
}

impl Default for Watching {
    fn default() -> Self {
        Self(Mutex::new(Some(State::default())))
    }
}

/// The turn of one step. The state is out of its lock, and returns to it when the step ends, also by
/// a panic.
pub(crate) struct Turn<'a> {
    watching: &'a Watching,
    pub(crate) state: State,
}

impl<'a> Turn<'a> {
    pub(crate) fn take(watching: &'a Watching) -> Option<Self> {
        let state = watching
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()?;
        Some(Self { watching, state })
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let state = std::mem::take(&mut self.state);
        *self
            .watching
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(state);
    }
}
