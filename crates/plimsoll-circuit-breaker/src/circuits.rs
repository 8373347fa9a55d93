//! The list of breakers with common settings that are not closed.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use tokio::time::Instant;

use crate::State;

/// A breaker that is not closed, as
/// [`CircuitBreakerHandle::open_keys`](crate::CircuitBreakerHandle::open_keys) lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenKey {
    /// The [label](plimsoll_core::Key::label) of the key; `None` for a breaker that is not
    /// [per key](crate::CircuitBreaker::per_key), and for keys without a label.
    pub key: Option<Arc<str>>,
    /// The state: anything but [`State::Closed`].
    pub state: State,
    /// The time until the next request is admitted; `None` when forced open.
    pub retry_after: Option<Duration>,
}

/// A breaker in the list.
pub(crate) trait Circuit: fmt::Debug + Send + Sync {
    /// Its entry, unless it is closed.
    fn entry(&self, now: Instant) -> Option<OpenKey>;
}

/// The breakers that have changed their state at least once: at most one per cell of a table.
#[derive(Debug, Default)]
pub(crate) struct Circuits(Mutex<Vec<Weak<dyn Circuit>>>);

impl Circuits {
    /// Adds a breaker. Called once for each.
    pub(crate) fn add(&self, circuit: Weak<dyn Circuit>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(circuit);
    }

    /// Lists at most `max` breakers that are not closed. Called without a lock of a breaker.
    pub(crate) fn list(&self, max: usize, now: Instant) -> Vec<OpenKey> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all: Vec<_> = all.iter().filter_map(Weak::upgrade).collect();
        let entries = all.iter().filter_map(|circuit| circuit.entry(now));
        entries.take(max).collect()
    }
}
