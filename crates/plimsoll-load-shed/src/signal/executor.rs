//! How late the executor polls tasks that are ready.

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
use crate::InvalidExecutorDelay;

/// Period of the probe.
const EVERY: Duration = Duration::from_millis(10);
/// Factor by which the load decays per probe: to about a third in 100 ms.
const FADE: f64 = 0.9;

/// How late tokio polls a task that is ready, as a signal: the lateness over an objective. Clones
/// share one probe.
///
/// It is made for handlers that compute, or block by mistake: a handler that keeps a worker busy
/// delays all other tasks, and this signal shows that first. It does not show handlers that wait
/// for dependencies; see [`QueueDelay`](crate::QueueDelay).
///
/// [`spawn`](Self::spawn) starts **one task**, the probe: it sleeps for 10 ms and measures how much
/// later it runs. The task ends when the last clone is dropped. The load is the latest lateness, or
/// 0.9 times the previous load, whichever is higher: it rises at once, and falls to a tenth in
/// about a quarter of a second. Tokio's timers have a resolution of 1 ms, so the objective should
/// be several milliseconds; start with 20 ms.
///
/// The probe needs a worker, too: while every worker is blocked, the load does not change.
#[doc(alias("event loop lag"))]
#[derive(Debug, Clone)]
pub struct ExecutorDelay(Arc<Probe>);

#[derive(Debug)]
struct Probe {
    /// The bits of the load.
    load: Arc<AtomicU64>,
    task: AbortHandle,
}

impl ExecutorDelay {
    /// Starts a probe on the current runtime. The load is 1 when ready tasks are polled `objective`
    /// late.
    ///
    /// # Errors
    ///
    /// When the objective is less than 1 microsecond or more than 1 hour, or when there is no
    /// runtime.
    ///
    /// # Panics
    ///
    /// The task panics when the runtime's timer is not enabled; the load is then 0.
    pub fn spawn(stated: Duration) -> Result<Self, InvalidExecutorDelay> {
        let objective = objective(stated).ok_or(InvalidExecutorDelay::Objective(stated))?;
        let runtime = Handle::try_current().map_err(|_| InvalidExecutorDelay::NoRuntime)?;
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
