//! What the handlers and the tasks of a board share.

use std::sync::{
    Arc, Mutex, PoisonError, Weak,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use bytes::Bytes;
use plimsoll_metrics::Metrics;

use crate::{actions::Actions, event::Keys, reading::Reading, scope::Scope};

/// Starts a task of the board. Called once, within a runtime.
pub(crate) type Start = Box<dyn Fn(Weak<Shared>) + Send + Sync>;

/// Everything of a board. The router holds it, and its tasks do not: they end with the last clone
/// of the router.
pub(crate) struct Shared {
    pub(crate) metrics: Metrics,
    pub(crate) keys: Keys,
    pub(crate) own: Arc<Scope>,
    pub(crate) fleet: Option<Arc<Scope>>,
    pub(crate) actions: Option<Actions>,
    pub(crate) start: Vec<Start>,
    pub(crate) started: AtomicBool,
    pub(crate) closed: AtomicBool,
    pub(crate) latest: Mutex<Latest>,
}

/// The latest reading, and its JSON once a peer has asked for it.
#[derive(Default)]
pub(crate) struct Latest {
    reading: Option<Arc<Reading>>,
    json: Option<Bytes>,
}

impl Shared {
    /// Starts the tasks, once, when a runtime is there.
    pub(crate) fn ensure_started(self: &Arc<Self>) {
        if self.started.load(Relaxed) || tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        if !self.started.swap(true, Relaxed) {
            for start in &self.start {
                start(Arc::downgrade(self));
            }
        }
    }

    /// Ends the tasks and the streams of all viewers.
    pub(crate) fn close(&self) {
        self.closed.store(true, Relaxed);
        self.own.viewers.close();
        if let Some(fleet) = &self.fleet {
            fleet.viewers.close();
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Relaxed)
    }

    pub(crate) fn publish(&self, reading: Arc<Reading>) {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        *latest = Latest {
            reading: Some(reading),
            json: None,
        };
    }

    pub(crate) fn reading(&self) -> Option<Arc<Reading>> {
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        latest.reading.clone()
    }

    /// The latest reading as JSON, encoded at most once per second.
    pub(crate) fn reading_json(&self) -> Option<Bytes> {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if latest.json.is_none() {
            let reading = latest.reading.as_ref()?;
            latest.json = serde_json::to_vec(&**reading).ok().map(Bytes::from);
        }
        latest.json.clone()
    }
}
