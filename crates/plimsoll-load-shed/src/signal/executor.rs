//! How late the executor runs what is ready.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use plimsoll_core::LoadSignal;
use tokio::{
    runtime::Handle,
    task::AbortHandle,
    time::{Instant, sleep_until},
};

use super::delay::objective;
use crate::InvalidLoadShed;

/// How often the probe runs.
const EVERY: Duration = Duration::from_millis(10);
/// What is left of a delay when the next is measured: about a third in a tenth of a second.
const FADE: f64 = 0.9;

/// How late tokio runs a task that is ready, over an objective: 1 when it is as late as it may be. Clones are one.
///
/// Made for services that compute, or block where they should not: a handler that keeps a worker busy makes all others late, which
/// shows here first. (A service that waits for others shows nothing here; see [`QueueDelay`](crate::QueueDelay).)
///
/// [`spawn`](Self::spawn) starts **one task**, the probe: every 10 ms it wants to be woken, and sees by how much that came too
/// late. It ends when the last clone is dropped. The load is the latest lateness, or nine tenths of what the load was, whichever is more: so it
/// rises at once, and falls to a tenth in about a quarter of a second. Tokio's timers tick in milliseconds, and so an objective
/// should be several; 20 ms is a start.
///
/// The lateness is seen once the probe gets its turn: while every worker is blocked, the load is as it was before.
#[derive(Debug, Clone)]
pub struct ExecutorDelay(Arc<Probe>);

#[derive(Debug)]
struct Probe {
    /// The bits of the load.
    load: Arc<AtomicU64>,
    task: AbortHandle,
}

impl ExecutorDelay {
    /// Starts a probe on the runtime that this is called in: 1 when what is ready runs `objective` too late.
    ///
    /// # Errors
    ///
    /// When the objective is less than 1 microsecond or more than 1 hour, or when there is no runtime.
    ///
    /// # Panics
    ///
    /// The task does, when the runtime's timer is not enabled; the load is 0 then.
    pub fn spawn(stated: Duration) -> Result<Self, InvalidLoadShed> {
        let objective = objective(stated)?;
        let runtime = Handle::try_current().map_err(|_| InvalidLoadShed::NoRuntime)?;
        let load = Arc::new(AtomicU64::new(0));
        let task = runtime.spawn(probe(Arc::clone(&load), objective));
        Ok(Self(Arc::new(Probe {
            load,
            task: task.abort_handle(),
        })))
    }
}

async fn probe(load: Arc<AtomicU64>, objective: f64) {
    let mut before: f64 = 0.0;
    let mut due = Instant::now() + EVERY;
    loop {
        sleep_until(due).await;
        let now = Instant::now();
        let late = now.saturating_duration_since(due).as_secs_f64() / objective;
        before = late.max(before * FADE);
        load.store(before.to_bits(), Relaxed);
        due = now + EVERY;
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl LoadSignal for ExecutorDelay {
    #[inline]
    fn load(&self) -> f64 {
        f64::from_bits(self.0.load.load(Relaxed))
    }
}
