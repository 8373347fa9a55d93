//! What a policy needs to be one per key.

use std::{fmt, sync::Arc, time::Duration};

use tokio::time::Instant;

#[cfg(doc)]
use crate::Key;
use crate::figures::Figures;

/// A policy that can be evicted from a per-key table and reset for another key.
pub trait Evictable: Send + Sync {
    /// Resets the cell to its initial state. Called only while no request holds a permit of this
    /// cell.
    fn reset(&self);

    /// Returns how long until a reset changes no decision: zero when the cell may be evicted.
    fn settles_in(&self, now: Instant) -> Duration;

    /// Marks the cell as an overflow cell. Called once, before any request.
    fn overflow(&self) {}

    /// Called after the cell was given to a key, without a lock.
    ///
    /// `label` returns the key's [label](Key::label), for reports. Usually before the first request
    /// of the key is decided; concurrent requests of a new key may come before. Does nothing by
    /// default.
    fn assigned(&self, label: &dyn Fn() -> Option<Box<str>>, now: Instant) {
        _ = (label, now);
    }

    /// Returns the figures that all cells share, such as counters and settings. `None` by default.
    ///
    /// Called on a cell that counts no requests. The figures of a
    /// [`KeyedHandle`](crate::KeyedHandle) begin with them and have their name.
    fn figures(&self) -> Option<Arc<dyn Figures>> {
        None
    }
}

/// The capacity is out of bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidKeyed(pub(super) usize);

impl fmt::Display for InvalidKeyed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(got) = self;
        write!(f, "capacity must be 1 to 2^28 keys, got {got}")
    }
}

impl std::error::Error for InvalidKeyed {}
