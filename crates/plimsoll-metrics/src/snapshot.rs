//! All figures of a registry at one time.

use plimsoll_core::figures::Figure;
use tokio::time::Instant;

use crate::{Exemplar, GateCounts, Latencies, Offender, families::Family};

/// All figures of a registry at one time: what exporters and dashboards read.
///
/// Counts grow from the start of the process; the difference of two snapshots is what happened
/// between them.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Snapshot {
    /// When it was taken.
    pub at: Instant,
    /// The gates, in the order of their first use.
    pub gates: Vec<GateSnapshot>,
    /// The metrics that the program added, such as [gauges](crate::Metrics::gauge).
    pub added: Vec<Family>,
    /// The load signals by name; `None` when the reading panicked.
    pub loads: Vec<(String, Option<f64>)>,
    /// The load above which `/health/load` answers 503.
    pub overloaded_at: f64,
    /// Readings that panicked or returned an unknown state.
    pub failed_readings: u64,
    /// How often a gate beyond the bound was merged into `other`.
    pub gates_merged: u64,
    /// The watched parts that belong to no gate, such as queues of streams.
    pub parts: Vec<PartSnapshot>,
    /// The alarms, as of the last step of the [`Watcher`](crate::Watcher).
    pub alarms: Vec<AlarmSnapshot>,
    /// Whether `/health/ready` answers 200.
    pub is_ready: bool,
    /// Events that were dropped before a step of the watcher delivered them.
    pub missed_events: u64,
    /// Names of gates that were too long, and were shortened.
    pub shortened_names: u64,
}

/// The figures of a part that belongs to no gate.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PartSnapshot {
    /// The name that it was registered under.
    pub name: String,
    /// What it is, and its figures.
    pub figures: PolicySnapshot,
}

/// The figures of one gate.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct GateSnapshot {
    /// The name of the gate.
    pub name: String,
    /// The counters.
    pub counts: GateCounts,
    /// Request to head of the response.
    pub latency: Latencies,
    /// The latencies of the last minute or two.
    pub recent_latency: Latencies,
    /// Time in the queue.
    pub waits: Latencies,
    /// The times in the queue of the last minute or two.
    pub recent_waits: Latencies,
    /// Admission to the end of the body, of one request in 128 or of
    /// [all](crate::GateMetrics::every_permit).
    pub permits: Latencies,
    /// The policies that the gate watches.
    pub policies: Vec<PolicySnapshot>,
    /// At most one request for each bucket of the latency, the shortest first; none unless the gate
    /// has the policy [`Exemplars`](crate::Exemplars).
    pub exemplars: Vec<Exemplar>,
    /// The keys with the most rejections, most first, at most ten; none without
    /// [`GateMetrics::offenders`](crate::GateMetrics::offenders). No exporter has them: keys are not
    /// bounded, and may be secrets.
    pub offenders: Vec<Offender>,
    /// The bytes of the counters and histograms.
    pub bytes: usize,
}

/// The figures of one policy.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PolicySnapshot {
    /// The name of the policy.
    pub policy: String,
    /// Each figure with its value. A state is the position in its list; NaN is unknown.
    pub figures: Vec<(&'static Figure, f64)>,
    /// The settings, as name and text.
    pub settings: Vec<(&'static str, String)>,
}

/// The state of an alarm for one gate and policy.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct AlarmSnapshot {
    /// The name of the alarm.
    pub alarm: String,
    /// The gate, or the name of a part or of a load signal.
    pub gate: String,
    /// The policy; empty for an alarm about a whole gate.
    pub policy: String,
    /// Whether it is raised.
    pub raised: bool,
    /// The value that was measured in the last step.
    pub value: f64,
}
