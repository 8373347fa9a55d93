//! The handle that ends a pipeline and reads its figures.

use std::{fmt, sync::Arc};

use super::{
    control::Control,
    metrics::{Row, StageMetrics},
};

/// Ends a pipeline from another task, and reads its figures. Clones share it.
///
/// It may outlive the pipeline. From [`PipelineRun::handle`](crate::PipelineRun::handle).
#[derive(Clone)]
pub struct PipelineHandle {
    control: Arc<Control>,
    rows: Arc<[Arc<Row>]>,
}

impl PipelineHandle {
    pub(super) const fn new(control: Arc<Control>, rows: Arc<[Arc<Row>]>) -> Self {
        Self { control, rows }
    }

    /// Stops the source; everything that it has yielded reaches the sink.
    ///
    /// The source is dropped and not polled again. The pipeline ends with
    /// [`PipelineEnd::Drained`](crate::PipelineEnd::Drained) when its last item has left it, which
    /// takes as long as the stages need. To bound that time, call [`abort`](Self::abort) later.
    pub fn drain(&self) {
        self.control.drain();
    }

    /// Stops everything; what is in the pipeline is thrown away and counted.
    ///
    /// Futures of stages are dropped, at the point that they have reached. The pipeline ends with
    /// [`PipelineEnd::Aborted`](crate::PipelineEnd::Aborted) when its task is polled next.
    pub fn abort(&self) {
        self.control.abort();
    }

    /// Returns the figures of all stages, from the source to the sink.
    pub fn stages(&self) -> Vec<StageMetrics> {
        self.rows.iter().map(|row| row.snapshot()).collect()
    }

    /// Returns the figures of the stage of this name.
    pub fn stage(&self, name: &str) -> Option<StageMetrics> {
        Some(self.row(name)?.snapshot())
    }

    /// The counters of the stage of this name.
    pub(crate) fn row(&self, name: &str) -> Option<Arc<Row>> {
        self.rows.iter().find(|row| row.name() == name).cloned()
    }

    /// Returns how many items were thrown away: by an abort, after an error, or when the future was
    /// dropped before its end.
    pub fn discarded(&self) -> u64 {
        self.control.discarded()
    }
}

impl fmt::Debug for PipelineHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PipelineHandle")
            .field("stages", &self.stages())
            .field("discarded", &self.discarded())
            .finish_non_exhaustive()
    }
}
