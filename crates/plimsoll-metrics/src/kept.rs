//! Exemplars of a gate: one for each bucket of the latency.

use std::{
    fmt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use plimsoll_core::{Class, Outcome, policy::Epoch};
use tokio::time::Instant;

use crate::latency::BOUNDS;

/// How often the exemplar of a bucket is replaced, in nanoseconds: once a second, so that threads
/// do not contend for it (`an_exemplar_is_replaced_after_a_second`).
const REPLACED: u64 = 1_000_000_000;

/// A request whose trace shows why a latency was as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exemplar {
    /// Request to head of the response.
    pub latency: Duration,
    /// The trace id of the request's `traceparent` header; `{:032x}` is its usual form.
    pub trace: u128,
    /// When the head came.
    pub at: Instant,
}

/// The exemplars of a gate.
#[derive(Default)]
pub(crate) struct Kept {
    epoch: Epoch,
    buckets: [Bucket; BOUNDS.len() + 1],
}

#[derive(Default)]
struct Bucket {
    /// When the exemplar may be replaced, in nanoseconds.
    next: AtomicU64,
    latest: Mutex<Option<Exemplar>>,
}

impl Kept {
    pub(crate) fn keep(&self, trace: u128, outcome: &Outcome) {
        let counts = !matches!(
            outcome.class,
            Class::Cancelled | Class::Overloaded | Class::Rejected
        );
        let (Some(nanos), true) = (outcome.head_nanos(), counts) else {
            return;
        };
        let bucket = &self.buckets[BOUNDS.partition_point(|bound| *bound < nanos)];
        let at = outcome.head_at();
        let now = self.epoch.nanos(at);
        if now < bucket.next.load(Relaxed) {
            return;
        }
        if let Ok(mut latest) = bucket.latest.try_lock() {
            bucket.next.store(now.saturating_add(REPLACED), Relaxed);
            *latest = Some(Exemplar {
                latency: Duration::from_nanos(nanos),
                trace,
                at,
            });
        }
    }

    /// The exemplars, the shortest latency first.
    pub(crate) fn read(&self) -> Vec<Exemplar> {
        let latest =
            |bucket: &Bucket| *bucket.latest.lock().unwrap_or_else(PoisonError::into_inner);
        self.buckets.iter().filter_map(latest).collect()
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.read()).finish()
    }
}
