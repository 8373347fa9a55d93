//! Errors of a work queue and of its settings.

use plimsoll_core::Rejection;

use crate::InvalidQueue;

/// A setting is out of bounds; the message names the setting, the bound and the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidWorkQueue {
    /// No job would ever run, or more than a machine has use for.
    #[error("workers must be in 1..=65536, got {0}")]
    Workers(usize),
    /// A setting of the queue.
    #[error(transparent)]
    Queue(#[from] InvalidQueue),
    /// The workers are tasks, which need a runtime.
    #[error("build must be called in a tokio runtime, got none")]
    NoRuntime,
}

/// A job has no result.
///
/// As a response: a rejection like those of all policies where nothing was run, with
/// `retry-after`; 413 for [`TooLarge`](Self::TooLarge), and 500 or 503 without `retry-after` where
/// the job had started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WorkError {
    /// The queue was full. Nothing was run.
    #[error("the work queue is full")]
    Full(Rejection),
    /// The queue's policy evicted the job while it was queued. Nothing was run.
    #[error("the job was evicted from the work queue")]
    Evicted(Rejection),
    /// The queue is shut down. Nothing was run.
    #[error("the work queue is shut down")]
    Closed(Rejection),
    /// The job alone is heavier than the bound in bytes. Nothing was run.
    #[error("the job weighs {weight} bytes, at most {max} are allowed")]
    TooLarge {
        /// The weight of the job in bytes.
        weight: usize,
        /// The bound in bytes.
        max: usize,
    },
    /// The job panicked. Its worker continues.
    #[error("the job panicked")]
    Panicked,
    /// The queue was aborted while the job ran.
    #[error("the job was aborted")]
    Aborted,
}

impl WorkError {
    /// Returns the rejection, if nothing was run and the job may be sent again.
    pub const fn rejection(&self) -> Option<&Rejection> {
        match self {
            Self::Full(rejection) | Self::Evicted(rejection) | Self::Closed(rejection) => {
                Some(rejection)
            }
            Self::TooLarge { .. } | Self::Panicked | Self::Aborted => None,
        }
    }
}
