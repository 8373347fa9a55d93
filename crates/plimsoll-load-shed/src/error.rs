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
    /// A window that is too short to count anything in, or too long to react.
    #[error("window is {0:?}, but must be 1 millisecond to 1 minute")]
    Window(Duration),
    /// A window of a throttle that forgets too soon, or too late.
    #[error("window is {0:?}, but must be 1 second to 1 hour")]
    ThrottleWindow(Duration),
    /// A period that is no period, or one in which nothing is learned.
    #[error("period is {0:?}, but must be 1 millisecond to 1 hour")]
    Period(Duration),
    /// A sampler that would do nothing else, or sees too little.
    #[error("interval is {0:?}, but must be 10 milliseconds to 1 minute")]
    Interval(Duration),
    /// An objective for a delay that is none.
    #[error("objective is {0:?}, but must be 1 microsecond to 1 hour")]
    Objective(Duration),
    /// A share that is none.
    #[error("{field} is {value}, but must be above 0 and at most 1")]
    Share {
        /// Of what.
        field: &'static str,
        /// What was asked for.
        value: f64,
    },
    /// Accepts are multiplied by at least 1: by less, a service that accepts everything would get less and less.
    #[error("multiplier is {0}, but must be a number from 1 to 100")]
    Multiplier(f64),
    /// A probe is a task, and there is no runtime to spawn it on.
    #[error("there is no tokio runtime to spawn the probe on")]
    NoRuntime,
    /// A sampler is a thread, and there is none to be had.
    #[error("the sampler's thread cannot be started: {0:?}")]
    NoThread(std::io::ErrorKind),
}
