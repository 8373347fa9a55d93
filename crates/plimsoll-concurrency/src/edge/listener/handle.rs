//! Limits and counters of a listener at run time.

use std::sync::Arc;

use plimsoll_core::LoadSignal;

use super::{error::InvalidListener, places::Places};

/// Reads and changes the limits of a [`BoundedListener`](super::BoundedListener) at run time;
/// clones share it.
#[derive(Debug, Clone)]
pub struct ListenerHandle(Arc<Places>);

impl ListenerHandle {
    pub(super) fn new(places: Arc<Places>) -> Self {
        Self(places)
    }

    /// Returns how many connections may be open.
    pub fn limit(&self) -> usize {
        self.0.limit()
    }

    /// Changes how many connections may be open.
    ///
    /// Under a lower limit open connections stay, and none is accepted until there is room, except
    /// the one that the listener is already waiting for.
    ///
    /// # Errors
    ///
    /// When `connections` is 0 or more than 2^20. Nothing is changed then.
    pub fn set_limit(&self, connections: usize) -> Result<(), InvalidListener> {
        self.0.set_limit(connections)
    }

    /// Returns how many connections may be open from one address; `None` if they are not counted by
    /// address.
    pub fn per_address(&self) -> Option<usize> {
        self.0.per_address()
    }

    /// Changes how many connections may be open from one address. Open connections stay.
    ///
    /// # Errors
    ///
    /// When `connections` is 0 or more than 2^20, or the listener was created without
    /// [`per_address`](super::BoundedListener::per_address). Nothing is changed then.
    pub fn set_per_address(&self, connections: usize) -> Result<(), InvalidListener> {
        self.0.set_per_address(connections)
    }

    /// Returns the open connections: accepted, and their IO not dropped yet.
    pub fn open(&self) -> usize {
        self.0.open()
    }

    /// Returns the addresses with an open connection, if connections are counted by address.
    pub fn addresses(&self) -> usize {
        self.0.addresses().len()
    }

    /// Returns the connections that were accepted and handed to the server.
    pub fn accepted(&self) -> u64 {
        self.0.accepted.get()
    }

    /// Returns the connections that were closed at once because their address had reached its
    /// limit.
    pub fn rejected(&self) -> u64 {
        self.0.rejected.get()
    }
}

/// Open connections divided by the limit: 1 when no more are accepted.
impl LoadSignal for ListenerHandle {
    fn load(&self) -> f64 {
        self.open() as f64 / self.limit() as f64
    }
}
