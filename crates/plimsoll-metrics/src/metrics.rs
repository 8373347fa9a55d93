//! The registry: gates by name, and what is pulled.

use std::{
    fmt,
    sync::{
        Arc, OnceLock, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use plimsoll_core::{Counter, LoadSignal};

use crate::{
    GateMetrics, InvalidMetric, MetricsService,
    health::Signals,
    pulled::{Pulled, Read},
};

/// A gate has some 70 KiB of counters.
const MAX_GATES: usize = 64;

/// The registry of a process: gates, gauges, load signals.
///
/// # Shared state and cloning
///
/// Clones share everything. There is no global registry: make one at start and hand it on.
///
/// # Panics in readings
///
/// What is registered here is read while scraping, never on a request's path. A reading that panics is left out and
/// counted in `plimsoll_failed_readings_total`, and the others are shown. (With `panic = "abort"` nothing can catch
/// it.) Readings must not block: they run on the thread that answers the scrape.
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
}

impl Metrics {
    /// An empty registry that is overloaded above a load of 1.
    pub fn new() -> Self {
        Self::default()
    }

    /// The counters of the gate called `name`, for
    /// [`GateBuilder::observe`](plimsoll_core::GateBuilder::observe). The same name gives the same counters.
    ///
    /// Ask once, when the layer is built: this takes a lock. The name becomes the label `gate`, so take it from the
    /// program or its configuration and never from a request. The sixty-fifth name and those after it share the
    /// counters of a gate called `other`.
    pub fn gate(&self, name: impl Into<String>) -> GateMetrics {
        let name = name.into();
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

    /// All gates, in the order in which they were first asked for.
    pub fn gates(&self) -> Vec<GateMetrics> {
        let gates = self.0.gates.read().unwrap_or_else(PoisonError::into_inner);
        gates.iter().chain(self.0.other.get()).cloned().collect()
    }

    /// A gauge that is read when somebody scrapes: a limit, a queue's depth.
    ///
    /// A value that is not a number is exported as `NaN`, which Prometheus shows as a gap; infinities are exported
    /// as they are.
    ///
    /// # Errors
    ///
    /// [`InvalidMetric`] when a name, the help or a label cannot be written, the series is there already, or the
    /// registry is full.
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

    /// A counter that is read when somebody scrapes: evictions, drops. Its name ends in `_total`, and it must never
    /// go down.
    ///
    /// ```
    /// # let metrics = plimsoll_metrics::Metrics::new();
    /// let evicted = std::sync::Arc::new(plimsoll_core::Counter::new());
    /// let reading = evicted.clone();
    /// metrics.counter("ads_keys_evicted_total", "Keys thrown out", &[], move || reading.get())?;
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

    /// A state, as one gauge per name in `states` with the label `state`: 1 for the state that `read` tells, 0 for
    /// all others. All are written in every scrape, so no earlier state stays at 1.
    ///
    /// A state that is not in the list shows as all 0 and counts as a failed reading.
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
    /// As [`gauge`](Self::gauge), and when there are no states, more than 16, or one twice.
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

    /// A load signal: exported as `plimsoll_load{signal="…"}`, and one of those that [`health`](Self::health) takes
    /// the worst of.
    ///
    /// # Errors
    ///
    /// [`InvalidMetric`] when there are 64 signals, or one of that name.
    pub fn load(
        &self,
        name: impl Into<String>,
        signal: impl LoadSignal + Send + Sync + 'static,
    ) -> Result<(), InvalidMetric> {
        self.0.signals.add(name.into(), Arc::new(signal))
    }

    /// Sets the load above which [`health`](Self::health) answers 503, for all clones. 1 at the start.
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

    /// A Tower service with `GET /metrics` and `GET /health/load`.
    pub fn service(&self) -> MetricsService {
        MetricsService::new(self.clone())
    }
}

/// A load, as bits.
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
