//! A connection as its owner sees it: a bounded queue, and whether it is up.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::{Disconnected, job::Job, link_settings::LinkSettings, task::Task, up::Up};

/// One connection, run by a task.
#[derive(Debug)]
pub(crate) struct Link {
    jobs: mpsc::Sender<Job>,
    up: Arc<Up>,
}

impl Link {
    /// Spawns the task, which ends when the link is dropped.
    pub(crate) fn spawn(settings: Arc<LinkSettings>) -> Self {
        let (sender, jobs) = mpsc::channel(settings.queue);
        let up = Arc::new(Up::new());
        tokio::spawn(Task::new(settings, jobs, Arc::clone(&up)).run());
        Self { jobs: sender, up }
    }

    /// Whether the connection is up, as far as is known.
    pub(crate) fn is_up(&self) -> bool {
        self.up.is_set()
    }

    /// The reason why the connection is down; `None` while it is up.
    pub(crate) fn why_down(&self) -> Option<Disconnected> {
        self.up.why_not()
    }

    /// Waits until the connection is up.
    pub(crate) async fn wait_up(&self) {
        self.up.wait().await;
    }

    /// Queues a job, or returns it when the queue is full.
    pub(crate) fn send(&self, job: Job) -> Result<(), Job> {
        self.jobs
            .try_send(job)
            .map_err(mpsc::error::TrySendError::into_inner)
    }
}
