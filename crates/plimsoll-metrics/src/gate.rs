//! The counters of one gate: an `Observe` made of atomics.

use std::{
    sync::{
        Arc,
        atomic::{
            AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    time::Duration,
};

use plimsoll_core::{Class, Kind, Observe, Outcome, Rejected};
use tokio::time::Instant;

use crate::{
    latency::{Latencies, Recorder},
    recent::Recent,
    rejections::Rejections,
    snapshot::GateSnapshot,
    watched::Watched,
};

/// Labels of the classes in the order of their counters; the last counter takes classes that a
/// later core may add.
const CLASSES: [&str; 7] = [
    "success",
    "failure",
    "overloaded",
    "ignored",
    "cancelled",
    "rejected",
    "other",
];

#[inline]
const fn index(class: Class) -> usize {
    match class {
        Class::Success => 0,
        Class::Failure => 1,
        Class::Overloaded => 2,
        Class::Ignored => 3,
        Class::Cancelled => 4,
        Class::Rejected => 5,
        _ => 6,
    }
}

/// The counters of one named gate, for
/// [`GateBuilder::observe`](plimsoll_core::GateBuilder::observe).
///
/// Made by [`Metrics::gate`](crate::Metrics::gate). Clones and all values with the same name share
/// the counters, so several layers may report as one gate. The label is this name, whatever the
/// [`GateBuilder::name`](plimsoll_core::GateBuilder::name) of the reporting gate is. Each event is
/// one to three relaxed atomics: no lookup, no lock, no allocation, no error.
///
/// ```
/// use plimsoll_core::{Class, GateLayer};
/// use plimsoll_metrics::Metrics;
///
/// let metrics = Metrics::new();
/// let edge = metrics.gate("edge");
/// let layer: GateLayer<()> = GateLayer::builder(()).observe(edge.clone()).build();
/// // … requests …
/// let counts = edge.counts();
/// assert_eq!((counts.admitted, counts.in_flight(), counts.finished(Class::Success)), (0, 0, 0));
/// # drop(layer);
/// ```
#[derive(Debug, Clone)]
pub struct GateMetrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    admitted: AtomicU64,
    abandoned: AtomicU64,
    body_dropped: AtomicU64,
    missing_keys: AtomicU64,
    finished: [AtomicU64; CLASSES.len()],
    rejected: Rejections,
    latency: Recorder,
    wait: Recorder,
    permit: Recorder,
    watched: Watched,
    recent_latency: Recent,
    recent_wait: Recent,
}

impl GateMetrics {
    pub(crate) fn new(name: String) -> Self {
        Self(Arc::new(Inner {
            name,
            admitted: AtomicU64::default(),
            abandoned: AtomicU64::default(),
            body_dropped: AtomicU64::default(),
            missing_keys: AtomicU64::default(),
            finished: Default::default(),
            rejected: Rejections::default(),
            latency: Recorder::new(),
            wait: Recorder::new(),
            permit: Recorder::new(),
            watched: Watched::default(),
            recent_latency: Recent::default(),
            recent_wait: Recent::default(),
        }))
    }

    /// The gate's name: the label `gate`.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Exports `plimsoll_rejected_total{policy,kind}` from the start, at 0, so that the first
    /// rejection is an increase and not a new series. Call it once for each policy of the gate and
    /// its kind.
    pub fn expecting(self, policy: &'static str, kind: Kind) -> Self {
        self.0.rejected.expect(policy, kind);
        self
    }

    /// The current counters.
    pub fn counts(&self) -> GateCounts {
        // The ends are read first, with acquire: the starts that belong to them are then in the
        // later reads, so there are never more ends than starts.
        let finished = self.0.finished.each_ref().map(|count| count.load(Acquire));
        GateCounts {
            admitted: self.0.admitted.load(Relaxed),
            abandoned: self.0.abandoned.load(Relaxed),
            body_dropped: self.0.body_dropped.load(Relaxed),
            missing_keys: self.0.missing_keys.load(Relaxed),
            finished,
            rejected: self.rejections(),
        }
    }

    fn rejections(&self) -> Vec<RejectionCount> {
        let series = self.0.rejected.read().into_iter();
        series
            .map(|(policy, kind, count)| RejectionCount {
                policy,
                kind,
                count,
            })
            .collect()
    }

    /// Latencies so far: request to head of the response, without cancelled calls, overloaded
    /// answers and rejections of inner gates.
    pub fn latency(&self) -> Latencies {
        self.0.latency.read()
    }

    /// Waits so far: the time in the queue of requests that were queued, whether they then ran or
    /// left.
    pub fn waits(&self) -> Latencies {
        self.0.wait.read()
    }

    /// Times that permits were held so far: from admission to the end of the body.
    pub fn permits(&self) -> Latencies {
        self.0.permit.read()
    }

    /// All figures of the gate, and of the policies that it watches.
    ///
    /// Reads the clock, to advance the windows of the recent latencies.
    pub fn snapshot(&self) -> GateSnapshot {
        let now = Instant::now();
        let (latency, waits) = (self.latency(), self.waits());
        GateSnapshot {
            name: self.0.name.clone(),
            counts: self.counts(),
            recent_latency: self.0.recent_latency.of(&latency, now),
            recent_waits: self.0.recent_wait.of(&waits, now),
            latency,
            waits,
            permits: self.permits(),
            policies: self.0.watched.read(),
        }
    }

    pub(crate) fn watched(&self) -> &Watched {
        &self.0.watched
    }
}

impl Observe for GateMetrics {
    #[inline]
    fn admitted(&self, _: &str, waited: Duration) {
        self.0.admitted.fetch_add(1, Relaxed);
        // Zero means that the request was not queued.
        if !waited.is_zero() {
            self.0.wait.record(waited);
        }
    }

    #[inline]
    fn rejected(&self, _: &str, rejected: &Rejected<'_>) {
        self.0.rejected.record(rejected.rejection);
    }

    #[inline]
    fn abandoned(&self, _: &str, waited: Duration) {
        self.0.abandoned.fetch_add(1, Relaxed);
        self.0.wait.record(waited);
    }

    #[inline]
    fn finished(&self, _: &str, outcome: &Outcome) {
        if outcome.body_dropped() {
            self.0.body_dropped.fetch_add(1, Relaxed);
        }
        self.0.finished[index(outcome.class)].fetch_add(1, Release);
        if !matches!(
            outcome.class,
            Class::Cancelled | Class::Overloaded | Class::Rejected
        ) {
            self.0.latency.record(outcome.latency());
        }
        self.0.permit.record(outcome.ran());
    }

    fn missing_key(&self, _: &str) {
        self.0.missing_keys.fetch_add(1, Relaxed);
    }
}

/// The counters of a gate at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GateCounts {
    /// Requests that were admitted.
    pub admitted: u64,
    /// Requests that left the queue before they could run.
    pub abandoned: u64,
    /// Answers whose body the caller dropped before its end. Each is also counted in the class of
    /// its head.
    pub body_dropped: u64,
    /// Requests from which a policy of this gate read no key, admitted or rejected.
    pub missing_keys: u64,
    /// Requests that were rejected, by policy and kind, in order of the first rejection.
    pub rejected: Vec<RejectionCount>,
    finished: [u64; CLASSES.len()],
}

impl GateCounts {
    /// Admitted requests that ended with this class.
    pub const fn finished(&self, class: Class) -> u64 {
        self.finished[index(class)]
    }

    /// Admitted requests that have not ended.
    pub fn in_flight(&self) -> u64 {
        self.admitted.saturating_sub(self.finished.iter().sum())
    }

    /// Requests that were rejected, by any policy.
    pub fn rejected(&self) -> u64 {
        self.rejected.iter().map(|series| series.count).sum()
    }

    /// All classes with their label; the last counter only when it is not 0.
    pub(crate) fn classes(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let known = CLASSES.len() - 1;
        let all = CLASSES.into_iter().zip(self.finished).enumerate();
        all.filter(move |(i, (_, count))| *i < known || *count > 0)
            .map(|(_, series)| series)
    }
}

/// Rejections by one policy of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RejectionCount {
    /// The policy, or `other` for policies beyond the sixteenth.
    pub policy: &'static str,
    /// The kind of the rejections.
    pub kind: Kind,
    /// The number of rejections.
    pub count: u64,
}
