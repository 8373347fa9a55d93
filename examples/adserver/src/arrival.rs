//! One request of a schedule, random or recorded.

use std::time::Duration;

/// One auction of the schedule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Arrival {
    /// Time from the start.
    pub(crate) at: Duration,
    /// The publisher; 0 is the greedy one.
    pub(crate) publisher: u32,
    /// Its service time at the store, as a multiple of the usual one.
    pub(crate) cost: f32,
}
