//! Limits and figures of a listener at run time.

use std::sync::Arc;

use plimsoll_core::LoadSignal;

use super::{InvalidListener, places::Places};

/// Reads and changes the limits of a [`BoundedListener`](super::BoundedListener) while it works. Clones share it.
#[derive(Debug, Clone)]
pub struct ListenerHandle(Arc<Places>);

impl ListenerHandle {
    pub(super) fn new(places: Arc<Places>) -> Self {
        Self(places)
    }

    /// Connections that may be open.
    pub fn limit(&self) -> usize {
        self.0.limit()
    }

    /// Changes how many connections may be open. Under a lower limit those that are open stay, and none is accepted until
    /// there is room; the one that was being waited for when it was lowered is let in.
    ///
    /// # Errors
    ///
    /// When `connections` is 0 or more than 2^20. Nothing is changed then.
    pub fn set_limit(&self, connections: usize) -> Result<(), InvalidListener> {
        self.0.set_limit(connections)
    }

    /// Connections that may be open from one address; `None` where they are not counted by address.
    pub fn per_address(&self) -> Option<usize> {
        self.0.per_address()
    }

    /// Changes how many connections may be open from one address. Those that are open stay.
    ///
    /// # Errors
    ///
    /// When `connections` is 0 or more than 2^20, or the listener was made without
    /// [`per_address`](super::BoundedListener::per_address). Nothing is changed then.
    pub fn set_per_address(&self, connections: usize) -> Result<(), InvalidListener> {
        self.0.set_per_address(connections)
    }

    /// Connections that are open: accepted, and their IO not dropped yet.
    pub fn open(&self) -> usize {
        self.0.open()
    }

    /// Addresses that have a connection open, where they are counted.
    pub fn addresses(&self) -> usize {
        self.0.addresses().len()
    }

    /// Connections that were let in.
    pub fn accepted(&self) -> u64 {
        self.0.accepted.get()
    }

    /// Connections that were closed at once because their address had its share.
    pub fn rejected(&self) -> u64 {
        self.0.refused.get()
    }
}

/// Open connections over the limit: 1 when no more are accepted.
impl LoadSignal for ListenerHandle {
    fn load(&self) -> f64 {
        self.open() as f64 / self.limit() as f64
    }
}
