//! The registry: gates by name, and pulled metrics.

use std::{
    fmt,
    sync::{
        Arc, OnceLock, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use plimsoll_core::{LoadSignal, policy::Counter};
use tokio::time::Instant;

use crate::{
    Distribution, GateMetrics, InvalidMetric, Snapshot,
    alarm::Alarms,
    events::EventLog,
    histogram::check_bounds,
    names::bounded,
    parts::Parts,
    pulled::{Pulled, Read},
    signals::Signals,
    switch::Switch,
    turn::Watching,
};

/// Bound of gates: each has about 70 KiB of counters.
const MAX_GATES: usize = 64;

/// The registry of a process: gates, gauges, load signals.
///
/// # Shared state and cloning
///
/// Clones share everything. There is no global registry: make one at start and pass it on.
///
/// # Panics in readings
///
/// Readings run while scraping, never on the path of a request. A reading that panics is left out
/// and counted in `plimsoll_failed_readings_total`; all others are exported. (With `panic =
/// "abort"` a panic ends the process.) Readings must not block: they run on the thread that answers
/// the scrape.
#[doc(alias("prometheus", "openmetrics"))]
#[derive(Debug, Clone, Default)]
pub struct Metrics(pub(crate) Arc<Inner>);

#[derive(Debug, Default)]
pub(crate) struct Inner {
    gates: RwLock<Vec<GateMetrics>>,
    other: OnceLock<GateMetrics>,
    pub(crate) pulled: Pulled,
    pub(crate) signals: Signals,
    overloaded_at: Line,
    pub(crate) failed_readings: Counter,
    pub(crate) events: Arc<EventLog>,
    pub(crate) parts: Parts,
    pub(crate) alarms: Alarms,
    pub(crate) watching: Watching,
    pub(crate) ready: Switch,
    pub(crate) shortened: Counter,
}

impl Metrics {
    /// An empty registry that is overloaded above a load of 1.
    pub fn new() -> Self {
        Self::default()
    }

    /// The counters of the gate called `name`, for
    /// [`GateBuilder::observe`](plimsoll_core::GateBuilder::observe). The same name gives the same
    /// counters.
    ///
    /// Call it once per gate, when the layer is built: it takes a lock. The name becomes the label
    /// `gate`, so take it from the program or its configuration and never from a request. Names
    /// from the sixty-fifth on share the counters of a gate called `other`.
    ///
    /// A name that is longer than 128 bytes is shortened to its beginning and a hash of all of it,
    /// and counted in `plimsoll_shortened_names_total`. Any character is valid, and is escaped where
    /// it has to be.
    pub fn gate(&self, name: impl Into<String>) -> GateMetrics {
        let mut name = name.into();
        if bounded(&mut name) {
            self.0.shortened.add();
        }
        let mut gates = self.0.gates.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(gate) = gates.iter().find(|gate| gate.name() == name) {
            return gate.clone();
        }
        if gates.len() < MAX_GATES && name != "other" {
            let gate = GateMetrics::new(name);
            gates.push(gate.clone());
            return gate;
        }
        self.0
            .other
            .get_or_init(|| GateMetrics::new(String::from("other")))
            .clone()
    }

    /// All figures now: what every exporter and the dashboard read.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            at: Instant::now(),
            gates: self.gates().iter().map(GateMetrics::snapshot).collect(),
            loads: self.loads(),
            overloaded_at: self.overload_line(),
            failed_readings: self.0.failed_readings.get(),
            parts: self.0.parts.snapshot(),
            alarms: self.0.alarms.snapshot(),
            is_ready: self.is_ready(),
            missed_events: self.0.events.missed.get(),
            shortened_names: self.0.shortened.get(),
        }
    }

    /// All gates, in the order of their first use.
    pub fn gates(&self) -> Vec<GateMetrics> {
        let gates = self.0.gates.read().unwrap_or_else(PoisonError::into_inner);
        gates.iter().chain(self.0.other.get()).cloned().collect()
    }

    /// Registers a gauge that is read when scraped: a limit, a queue's depth.
    ///
    /// NaN is exported as `NaN`, which Prometheus shows as a gap; infinities are exported
    /// unchanged.
    ///
    /// # Errors
    ///
    /// [`InvalidMetric`] when a name, the help or a label is invalid, the series is registered
    /// already, or the registry is full.
    pub fn gauge(
        &self,
        name: &str,
        help: &str,
        labels: &[(&'static str, &str)],
        read: impl Fn() -> f64 + Send + Sync + 'static,
    ) -> Result<(), InvalidMetric> {
        self.0
            .pulled
            .add(name, help, labels, Read::Gauge(Box::new(read)))
    }

    /// Registers a counter that is read when scraped: evictions, drops. Its name ends in `_total`,
    /// and its value must never fall.
    ///
    /// ```
    /// # let metrics = plimsoll_metrics::Metrics::new();
    /// let evicted = std::sync::Arc::new(plimsoll_core::policy::Counter::new());
    /// let reading = evicted.clone();
    /// metrics.counter("ads_keys_evicted_total", "Keys evicted", &[], move || reading.get())?;
    /// # Ok::<(), plimsoll_metrics::InvalidMetric>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`gauge`](Self::gauge).
    pub fn counter(
        &self,
        name: &str,
        help: &str,
        labels: &[(&'static str, &str)],
        read: impl Fn() -> u64 + Send + Sync + 'static,
    ) -> Result<(), InvalidMetric> {
        self.0
            .pulled
            .add(name, help, labels, Read::Counter(Box::new(read)))
    }

    /// Registers a state, as one gauge per name in `states` with the label `state`: 1 for the state
    /// that `read` returns, 0 for all others. All are written in every scrape, so no earlier state
    /// stays at 1.
    ///
    /// A state that is not in the list is exported as all 0 and counts as a failed reading.
    ///
    /// ```
    /// # let metrics = plimsoll_metrics::Metrics::new();
    /// const STATES: &[&str] = &["closed", "open", "half-open"];
    /// metrics.state("bids_breaker_state", "State of the breaker", &[("bidder", "a")], STATES, || "open")?;
    /// let text = metrics.prometheus().into_body();
    /// assert!(text.contains("bids_breaker_state{bidder=\"a\",state=\"closed\"} 0"));
    /// assert!(text.contains("bids_breaker_state{bidder=\"a\",state=\"open\"} 1"));
    /// # Ok::<(), plimsoll_metrics::InvalidMetric>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`gauge`](Self::gauge), and when there are no states, more than 16, or duplicates.
    pub fn state(
        &self,
        name: &str,
        help: &str,
        labels: &[(&'static str, &str)],
        states: &'static [&'static str],
        read: impl Fn() -> &'static str + Send + Sync + 'static,
    ) -> Result<(), InvalidMetric> {
        self.0
            .pulled
            .add(name, help, labels, Read::State(states, Box::new(read)))
    }

    /// Registers a histogram that is read when scraped: waiting times, sizes. Its name has no suffix;
    /// `_bucket`, `_sum` and `_count` are appended.
    ///
    /// `bounds` are the upper bounds of the buckets, inclusive; a last bucket without one is added.
    /// A reading with another number of counts is left out and counts as a failed reading.
    ///
    /// ```
    /// # let metrics = plimsoll_metrics::Metrics::new();
    /// use plimsoll_metrics::Distribution;
    ///
    /// let read = || Distribution { counts: vec![3, 1, 0], sum: 0.52 };
    /// metrics.histogram("ads_wait_seconds", "Time in the queue", &[], &[0.1, 1.0], read)?;
    /// let text = metrics.prometheus().into_body();
    /// assert!(text.contains("ads_wait_seconds_bucket{le=\"1.0\"} 4\n"));
    /// assert!(text.contains("ads_wait_seconds_bucket{le=\"+Inf\"} 4\n"));
    /// # Ok::<(), plimsoll_metrics::InvalidMetric>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`gauge`](Self::gauge), and [`InvalidMetric::Bounds`] unless there are 1 to 64 bounds that
    /// are finite and ascend.
    pub fn histogram(
        &self,
        name: &str,
        help: &str,
        labels: &[(&'static str, &str)],
        bounds: &[f64],
        read: impl Fn() -> Distribution + Send + Sync + 'static,
    ) -> Result<(), InvalidMetric> {
        check_bounds(name, bounds)?;
        let read = Read::Histogram(bounds.into(), Box::new(read));
        self.0.pulled.add(name, help, labels, read)
    }

    /// Registers a load signal: exported as `plimsoll_load{signal="…"}`, and part of
    /// [`health`](Self::health), which takes the highest.
    ///
    /// # Errors
    ///
    /// [`InvalidMetric`] when there are 64 signals, or one with that name, or the name is not 1 to 128
    /// bytes long.
    pub fn load(
        &self,
        name: impl Into<String>,
        signal: impl LoadSignal + Send + Sync + 'static,
    ) -> Result<(), InvalidMetric> {
        self.0.signals.add(name.into(), signal)
    }

    /// Sets the load above which [`health`](Self::health) answers 503, for all clones. Default: 1.
    ///
    /// # Errors
    ///
    /// [`InvalidMetric::OverloadedAt`] unless `load` is finite and above 0.
    pub fn overloaded_at(&self, load: f64) -> Result<(), InvalidMetric> {
        if !(load.is_finite() && load > 0.0) {
            return Err(InvalidMetric::OverloadedAt(load));
        }
        self.0.overloaded_at.0.store(load.to_bits(), Relaxed);
        Ok(())
    }

    /// The load above which [`health`](Self::health) answers 503.
    pub fn overload_line(&self) -> f64 {
        f64::from_bits(self.0.overloaded_at.0.load(Relaxed))
    }
}

/// A load, as the bits of a float.
struct Line(AtomicU64);

impl Default for Line {
    fn default() -> Self {
        Self(AtomicU64::new(1f64.to_bits()))
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f64::from_bits(self.0.load(Relaxed)).fmt(f)
    }
}
