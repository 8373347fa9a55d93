//! What cannot be set.

use std::time::Duration;

/// A setting is out of bounds.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidLoadShed {
    /// The load at which shedding starts is no load.
    #[error("start is {0}, but must be a load from 0 to 1000")]
    Start(f64),
    /// The load at which all is shed does not lie above the start.
    #[error("full is {full}, but must be a load above start, {start}, and at most 1000")]
    Full {
        /// Where shedding was to start.
        start: f64,
        /// Where all was to be shed.
        full: f64,
    },
    /// A hint that invites the caller back at once, or never.
    #[error("retry hint is {0:?}, but must be 1 nanosecond to 1 day")]
    RetryAfter(Duration),
    /// A queue that holds nothing.
    #[error("capacity is {0}, but must be at least 1")]
    Capacity(usize),
}
