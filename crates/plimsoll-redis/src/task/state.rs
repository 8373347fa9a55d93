//! The state of a task, and the batches that it sends.

use std::sync::Arc;

use redis::{RedisError, Value};
use tokio::{sync::mpsc, time::Instant};

use crate::{
    disconnected::Topology,
    job::{Change, Job, Question, Refund},
    link_settings::LinkSettings,
    redis_clock::RedisClock,
    up::Up,
};

pub(crate) struct Task {
    pub(super) settings: Arc<LinkSettings>,
    pub(super) jobs: mpsc::Receiver<Job>,
    pub(super) up: Arc<Up>,
    pub(super) clock: RedisClock,
    /// Refunds to send, also of grants that arrived after the request was cancelled.
    pub(super) refunds: Vec<Refund>,
    pub(super) changes: Vec<Change>,
    /// Whether this connection has given a good answer. Only then the next pause is short again.
    pub(super) proven: bool,
    /// Failures since the last good answer, and the time of the first. For clusters.
    pub(super) failures: Option<(u32, Instant)>,
    /// The index of the next probe.
    pub(super) probe: usize,
}

/// Jobs that are sent together. An empty batch is a probe.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) questions: Vec<Question>,
    pub(super) refunds: Vec<Refund>,
    pub(super) changes: Vec<Change>,
}

/// A batch and its answers.
pub(super) struct Done {
    pub(super) batch: Batch,
    pub(super) sent: Instant,
    pub(super) values: Result<Vec<Value>, RedisError>,
}

impl Task {
    pub(crate) fn new(settings: Arc<LinkSettings>, jobs: mpsc::Receiver<Job>, up: Arc<Up>) -> Self {
        Self {
            settings,
            jobs,
            up,
            clock: RedisClock::new(),
            refunds: Vec::new(),
            changes: Vec::new(),
            proven: false,
            failures: None,
            probe: 0,
        }
    }

    pub(super) fn topology(&self) -> Topology {
        self.settings.target.topology()
    }
}
