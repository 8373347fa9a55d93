//! The counters of one gate: an `Observe` made of atomics.

use std::{
    borrow::Cow,
    sync::{
        Arc, OnceLock,
        atomic::{
            AtomicBool,
            Ordering::{Acquire, Relaxed},
        },
    },
    time::Duration,
};

use http::HeaderName;
use plimsoll_core::{
    Class, Kind, Observe, Outcome, Rejected, RequestHead,
    support::{
        Recorder, Shard,
        buckets::{Buckets, Counts, Shared},
    },
};
use tokio::time::Instant;

use crate::{
    counts::{GateCounts, RejectionCount},
    criticality::criticality,
    exemplars::{Exemplars, Kept},
    latency::Latencies,
    offenders::Offenders,
    recent::Recent,
    rejections::{Policies, by_criticality},
    shard::Shards,
    snapshot::GateSnapshot,
    watched::Watched,
};

/// The counters of one named gate, for
/// [`GateBuilder::observe`](plimsoll_core::GateBuilder::observe).
///
/// Made by [`Metrics::gate`](crate::Metrics::gate). Clones and all values with the same name share
/// the counters, so several layers may report as one gate. The label is this name, whatever the
/// [`GateBuilder::name`](plimsoll_core::GateBuilder::name) of the reporting gate is. An event takes
/// no lock, looks up no label and cannot fail; it allocates only for a thread's first event of its
/// kind, or its first duration in an octave.
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
    recorder: Arc<Recorder>,
    rejections: Shards,
    name: String,
    policies: Policies,
    /// Shared by all threads: a queued request has taken the lock of its queue.
    wait: Buckets,
    /// Permit times of threads without a shard, and beyond the counts of a shard.
    permit: Buckets,
    every_permit: AtomicBool,
    /// `None`: the usual header.
    criticality: OnceLock<HeaderName>,
    watched: Watched,
    recent_latency: Recent,
    recent_wait: Recent,
    /// `None` unless asked for.
    exemplars: OnceLock<Arc<Kept>>,
    /// `None` unless asked for.
    offenders: OnceLock<Box<Offenders>>,
}

/// Requests between two whose permit time is measured, on average. A clock read costs as much as
/// all other recording of a request; one in 128 adds 3 instructions (`instructions`,
/// `adaptive-metrics@accept`).
const PERMIT_EVERY: u64 = 128;

impl GateMetrics {
    /// Counters of a gate that was made at `now`.
    pub(crate) fn new(name: String, now: Instant) -> Self {
        Self(Arc::new(Inner {
            recorder: Arc::new(Recorder::new()),
            rejections: Shards::new(),
            name,
            policies: Policies::default(),
            wait: Buckets::default(),
            permit: Buckets::default(),
            every_permit: AtomicBool::default(),
            criticality: OnceLock::new(),
            watched: Watched::default(),
            recent_latency: Recent::new(now),
            recent_wait: Recent::new(now),
            exemplars: OnceLock::new(),
            offenders: OnceLock::new(),
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
        self.0.policies.expect(policy, kind);
        self
    }

    /// Measures the permit time of every request, for all clones. By default it is measured for one
    /// request in 128, chosen at random, since a request then takes one more clock read.
    pub fn every_permit(self) -> Self {
        self.0.every_permit.store(true, Relaxed);
        self
    }

    /// Reads the criticality of rejected requests from this header, for all clones, as
    /// [`ByHeader::criticality_header`](plimsoll_core::ByHeader::criticality_header) does for a
    /// policy. By default from `plimsoll-criticality`. The first call counts.
    pub fn criticality_header(self, name: HeaderName) -> Self {
        self.0.criticality.get_or_init(|| name);
        self
    }

    /// A policy for the gate that keeps [exemplars](GateSnapshot::exemplars): traces of requests by
    /// latency. It costs a look-up of the header `traceparent` per request, and 16 bytes in each
    /// permit.
    pub fn exemplars(&self) -> Exemplars {
        Exemplars::new(Arc::clone(self.0.exemplars.get_or_init(Arc::default)))
    }

    /// Counts rejections by the key that `read` returns for a request, for all clones: the
    /// [ten keys](GateSnapshot::offenders) with the most. `None` counts nothing. The first call
    /// counts.
    ///
    /// Use what the policies of the gate limit by, such as a header that names a tenant. The text is
    /// kept and shown to operators, so return no secret. Admitted requests cost nothing. A rejected one
    /// takes a lock that is nearly never taken by another thread. Each thread has 64 counters, so memory
    /// is bounded whatever the keys are, and a key that has more than one in 64 of a thread's rejections
    /// has a counter. The first 64 keys of a thread allocate, and later ones do not. A panic in `read` is caught, and loses the key.
    ///
    /// ```
    /// use plimsoll_metrics::Metrics;
    ///
    /// let edge = Metrics::new().gate("edge").offenders(|request| {
    ///     Some(request.headers.get("x-tenant")?.to_str().ok()?.into())
    /// });
    /// assert_eq!(edge.snapshot().offenders, []);
    /// ```
    pub fn offenders<F>(self, read: F) -> Self
    where
        F: for<'a> Fn(&RequestHead<'a>) -> Option<Cow<'a, str>> + Send + Sync + 'static,
    {
        let made = || Box::new(Offenders::new(read));
        self.0.offenders.get_or_init(made);
        self
    }

    /// The current counters.
    pub fn counts(&self) -> GateCounts {
        let shards = || self.0.recorder.shards();
        // The ends are read first, with acquire: the starts that belong to them are then in the
        // later reads, so there are never more ends than starts.
        let mut finished = [0; Class::ALL.len()];
        for shard in shards() {
            for (sum, count) in finished.iter_mut().zip(&shard.finished) {
                *sum += count.load(Acquire);
            }
        }
        let sum = |count: fn(&Shard) -> u64| shards().map(count).sum();
        let rejected = self.0.rejections.iter();
        GateCounts {
            finished,
            admitted: sum(|shard| shard.admitted.load(Relaxed)),
            abandoned: sum(|shard| shard.abandoned.load(Relaxed)),
            body_dropped: sum(|shard| shard.body_dropped.load(Relaxed)),
            missing_keys: sum(|shard| shard.missing_keys.load(Relaxed)),
            by_criticality: by_criticality(rejected.clone()),
            rejected: (self.0.policies.read(&rejected).into_iter())
                .map(|(policy, kind, count)| RejectionCount {
                    policy,
                    kind,
                    count,
                })
                .collect(),
        }
    }

    /// Latencies so far: request to head of the response, without cancelled calls, overloaded
    /// answers and rejections of inner gates.
    pub fn latency(&self) -> Latencies {
        let shards = self.0.recorder.shards();
        Latencies::of(&shards.map(|shard| &shard.latency as &dyn Counts))
    }

    /// Waits so far: the time in the queue of requests that were queued, whether they then ran or
    /// left.
    pub fn waits(&self) -> Latencies {
        Latencies::of(&[&self.0.wait as &dyn Counts].into_iter())
    }

    /// Times that permits were held so far, from admission to the end of the body: those of one
    /// request in 128, or of [all](Self::every_permit).
    pub fn permits(&self) -> Latencies {
        let shards = self.0.recorder.shards();
        let own = shards.map(|shard| &shard.permits as &dyn Counts);
        Latencies::of(&own.chain([&self.0.permit as &dyn Counts]))
    }

    /// The bytes of the counters and histograms.
    pub fn bytes(&self) -> usize {
        let counted = self.0.recorder.bytes() + self.0.rejections.bytes();
        let durations = self.0.wait.bytes() + self.0.permit.bytes();
        let keys = self.0.offenders.get().map_or(0, |of| of.bytes());
        size_of::<Inner>() + size_of::<Recorder>() + counted + durations + keys
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
            exemplars: (self.0.exemplars.get()).map_or_else(Vec::new, |kept| kept.read()),
            offenders: (self.0.offenders.get()).map_or_else(Vec::new, |of| of.read()),
            bytes: self.bytes(),
        }
    }

    pub(crate) fn watched(&self) -> &Watched {
        &self.0.watched
    }

    fn waited(&self, waited: Duration) {
        let nanos = u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX);
        self.0.wait.record::<Shared>(nanos);
    }

    #[cold]
    fn measure_permit(&self, outcome: &Outcome) {
        let nanos = outcome.ran_nanos();
        if !self.0.recorder.permit(nanos) {
            self.0.permit.record::<Shared>(nanos);
        }
        let next = if self.0.every_permit.load(Relaxed) {
            0
        } else {
            // Random, so that a pattern of requests that repeats does not choose the same ones.
            fastrand::u64(0..2 * PERMIT_EVERY - 1)
        };
        self.0.recorder.measure_after(next);
    }
}

impl Observe for GateMetrics {
    fn admitted(&self, _: &str, waited: Duration) {
        self.0.recorder.admit();
        // Zero means that the request was not queued.
        if !waited.is_zero() {
            self.waited(waited);
        }
    }

    fn recorder(&self) -> Option<Arc<Recorder>> {
        Some(Arc::clone(&self.0.recorder))
    }

    fn rejected(&self, _: &str, rejected: &Rejected<'_>) {
        let rejection = rejected.rejection;
        let row = self.0.policies.row(rejection.policy());
        let criticality = criticality(rejected.request, self.0.criticality.get()) as usize;
        let kind = rejection.kind().index();
        self.0.rejections.reject(row, kind, criticality);
        if let (Some(offenders), Some(request)) = (self.0.offenders.get(), &rejected.request) {
            // Last: a panic of the user's function loses the key only.
            offenders.count(request);
        }
    }

    fn abandoned(&self, _: &str, waited: Duration) {
        self.0.recorder.abandon();
        self.waited(waited);
    }

    fn finished(&self, _: &str, outcome: &Outcome) {
        if self.0.recorder.end(outcome) {
            self.measure_permit(outcome);
        }
    }

    fn missing_key(&self, _: &str) {
        self.0.recorder.miss_key();
    }
}
