//! A switch that is on from the beginning.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// On until it is set.
#[derive(Debug)]
pub(crate) struct Switch(AtomicBool);

impl Switch {
    pub(crate) fn is_on(&self) -> bool {
        self.0.load(Relaxed)
    }

    pub(crate) fn set(&self, on: bool) {
        self.0.store(on, Relaxed);
    }
}

impl Default for Switch {
    fn default() -> Self {
        Self(AtomicBool::new(true))
    }
}
