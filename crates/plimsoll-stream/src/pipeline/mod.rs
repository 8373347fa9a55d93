//! Stages joined by bounded buffers.
//!
//! | file | what |
//! |---|---|
//! | `builder`, `stage`, `error` | a pipeline as its users build it |
//! | `run`, `handle`, `control` | the future, and what ends it |
//! | `source`, `driver`, `sink` | what moves items: one driver each, polled in turn |
//! | `work`, `feed` | what a driver calls, and where it sends |
//! | `slots`, `wakes` | futures in flight, each polled only when it was woken |
//! | `metrics` | figures |

mod builder;
mod control;
mod driver;
mod error;
mod feed;
mod handle;
#[cfg(all(test, loom))]
mod loom_tests;
mod metrics;
mod run;
mod sink;
mod slots;
mod source;
mod stage;
mod wakes;
mod work;

pub(crate) use self::metrics::Row;
pub use self::{
    builder::Pipeline,
    error::{InvalidPipeline, PipelineEnd, PipelineError},
    handle::PipelineHandle,
    metrics::StageMetrics,
    run::PipelineRun,
    stage::Stage,
};
