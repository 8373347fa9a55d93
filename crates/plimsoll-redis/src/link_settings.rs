//! Settings that a connection and its task share.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering::Relaxed},
    },
    time::Duration,
};

use crate::{Disconnected, counts::Counts, script::Scripts, target::Target};

/// The settings of a link.
#[derive(Debug)]
pub(crate) struct LinkSettings {
    pub(crate) target: Target,
    pub(crate) scripts: Arc<Scripts>,
    pub(crate) counts: Arc<Counts>,
    pub(crate) deadline: Duration,
    pub(crate) queue: usize,
    /// The reasons why a connection was down since the last good answer, one bit each: each is
    /// logged once.
    pub(crate) logged: AtomicU16,
}

impl LinkSettings {
    /// How long a pipeline may take before the connection is closed. Longer than the wait of any
    /// request, so that tokens of a late answer can still be refunded.
    pub(crate) fn stall(&self) -> Duration {
        (10 * self.deadline).max(Duration::from_millis(250))
    }

    /// How long connecting may take. No request waits for it.
    pub(crate) fn patience(&self) -> Duration {
        self.stall().max(Duration::from_secs(1))
    }

    /// Logs why a connection is down, once until the next good answer.
    pub(crate) fn log(&self, why: Disconnected) {
        let bit = 1 << (why as u16 - 1);
        if self.logged.fetch_or(bit, Relaxed) & bit == 0 {
            tracing::warn!(reason = ?why, "no shared rate limit: {why}");
        }
    }

    /// Logs the first good answer after a failure.
    pub(crate) fn log_recovery(&self) {
        if self.logged.swap(0, Relaxed) != 0 {
            tracing::info!("the rate limit is shared through Redis again");
        }
    }
}
