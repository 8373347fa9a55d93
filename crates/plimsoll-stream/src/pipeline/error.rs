//! How a pipeline ends, and settings that are out of bounds.

use std::{any::Any, error::Error};

/// Any error that can be sent between threads.
pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// How a pipeline has ended without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PipelineEnd {
    /// The source has ended, and each of its items has reached the sink.
    Completed,
    /// The source was stopped by [`drain`](crate::PipelineHandle::drain), and each of its items has
    /// reached the sink.
    Drained,
    /// The pipeline was stopped by [`abort`](crate::PipelineHandle::abort).
    Aborted {
        /// Items that were thrown away: in the buffers, and in flight in the stages.
        discarded: u64,
    },
}

/// A stage has failed, which has ended the pipeline.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipelineError {
    /// The stage has returned an error.
    #[error("stage `{stage}` failed: {error}")]
    Failed {
        /// The name of the stage: `source` and `sink` are the ends.
        stage: &'static str,
        /// The error.
        error: BoxError,
        /// Other items that were thrown away: in the buffers, and in flight in the stages.
        discarded: u64,
    },
    /// The stage has panicked. The panic hook of the process has reported it.
    #[error("stage `{stage}` panicked: {message}")]
    Panicked {
        /// The name of the stage: `source` and `sink` are the ends.
        stage: &'static str,
        /// The message of the panic.
        message: String,
        /// Other items that were thrown away: in the buffers, and in flight in the stages.
        discarded: u64,
    },
}

impl PipelineError {
    /// Returns the name of the stage.
    pub const fn stage(&self) -> &'static str {
        match self {
            Self::Failed { stage, .. } | Self::Panicked { stage, .. } => stage,
        }
    }

    /// Returns how many other items were thrown away.
    pub const fn discarded(&self) -> u64 {
        match self {
            Self::Failed { discarded, .. } | Self::Panicked { discarded, .. } => *discarded,
        }
    }
}

/// The message of a panic.
pub(crate) fn message(panic: &(dyn Any + Send)) -> String {
    let message = panic.downcast_ref::<&str>().copied();
    let message = message.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    message.unwrap_or("no message").to_owned()
}

/// A setting is out of bounds; the message names the stage, the setting, the bound and the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPipeline {
    /// The buffer in front of the stage could hold no item.
    #[error("buffer of stage `{stage}` must be at least 1 item, got 0")]
    Buffer {
        /// The name of the stage.
        stage: &'static str,
    },
    /// The stage could work on no item.
    #[error("concurrency of stage `{stage}` must be at least 1 item, got 0")]
    Concurrency {
        /// The name of the stage.
        stage: &'static str,
    },
    /// The name is empty, or taken by another stage or an end of the pipeline.
    #[error(
        "name of a stage must be unique, not empty, not `source` and not `sink`, got `{stage}`"
    )]
    Name {
        /// The name of the stage.
        stage: &'static str,
    },
}
