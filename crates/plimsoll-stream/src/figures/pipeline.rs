//! A pipeline and its stages.

use std::{fmt, sync::Arc};

use plimsoll_core::figures::{self, Figure, Figures};

use crate::{
    StageMetrics,
    pipeline::{PipelineHandle, Row},
};

/// What is in all stages and buffers together, what went in and out, and losses. The settings are
/// those of each stage.
///
/// [`stage_figures`](PipelineHandle::stage_figures) has those of one stage.
impl Figures for PipelineHandle {
    fn policy(&self) -> &'static str {
        "pipeline"
    }

    fn read(&self, each: &mut dyn FnMut(&'static Figure, f64)) {
        let stages = self.stages();
        let sum = |count: fn(&StageMetrics) -> u64| stages.iter().map(count).sum::<u64>() as f64;
        each(&figures::IN_USE, sum(|stage| stage.in_flight));
        each(&figures::QUEUED, sum(|stage| stage.queued));
        each(&figures::QUEUE_CAPACITY, sum(|stage| stage.capacity as u64));
        // The fullest buffer is the one in front of the slowest stage.
        let load = stages.iter().map(fill).fold(0.0, f64::max);
        each(&figures::LOAD, load);
        each(
            &figures::SENT,
            stages.first().map_or(0, |source| source.sent) as f64,
        );
        each(
            &figures::RECEIVED,
            stages.last().map_or(0, |sink| sink.sent) as f64,
        );
        each(&figures::DROPPED, self.discarded() as f64);
        each(&FAILED, sum(|stage| stage.failed));
    }

    fn settings(&self, each: &mut dyn FnMut(&'static str, &dyn fmt::Display)) {
        for stage in self.stages() {
            each(stage.name, &Settings(stage));
        }
    }
}

impl PipelineHandle {
    /// Returns the figures of the stage of this name, for a dashboard: one that is nearly always
    /// busy, behind a full buffer, is the slowest.
    pub fn stage_figures(&self, name: &str) -> Option<impl Figures + use<>> {
        self.row(name).map(StageFigures)
    }
}

struct StageFigures(Arc<Row>);

impl Figures for StageFigures {
    fn policy(&self) -> &'static str {
        "stage"
    }

    fn read(&self, each: &mut dyn FnMut(&'static Figure, f64)) {
        let stage = self.0.snapshot();
        each(&figures::LIMIT, stage.concurrency as f64);
        each(&figures::IN_USE, stage.in_flight as f64);
        each(&figures::QUEUED, stage.queued as f64);
        each(&figures::QUEUE_CAPACITY, stage.capacity as f64);
        each(&figures::LOAD, fill(&stage));
        each(&figures::SENT, stage.received as f64);
        each(&figures::RECEIVED, stage.sent as f64);
        each(&BUSY, stage.busy.as_secs_f64());
        each(&FAILED, stage.failed as f64);
    }

    fn settings(&self, each: &mut dyn FnMut(&'static str, &dyn fmt::Display)) {
        let stage = self.0.snapshot();
        each(stage.name, &Settings(stage));
    }
}

/// How full the buffer in front of a stage is. 0 for the source, which has none.
fn fill(stage: &StageMetrics) -> f64 {
    stage.queued as f64 / stage.capacity.max(1) as f64
}

/// The settings of a stage as text.
struct Settings(StageMetrics);

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let order = if self.0.ordered { "in" } else { "without" };
        let (at_once, buffer) = (self.0.concurrency, self.0.capacity);
        write!(f, "{at_once} at a time, {order} order, buffer of {buffer}")
    }
}

static FAILED: Figure = Figure::counter("failed", "Items that ended the pipeline with an error");
static BUSY: Figure =
    Figure::counter("busy", "Time that the items took, added up").in_unit("seconds");
