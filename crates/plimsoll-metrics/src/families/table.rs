//! The families of this crate: one table for exporters, reserved names and the guide.

use super::FamilyKind::{self, Counter, Gauge, Histogram, Summary};

/// A family that this crate exports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BuiltIn {
    /// The name with its unit; of a counter without `_total`.
    pub name: &'static str,
    /// The type.
    pub kind: FamilyKind,
    /// The unit, in the plural. `None` for numbers and ratios.
    pub unit: Option<&'static str>,
    /// The labels.
    pub labels: &'static [&'static str],
    /// One line about the metric.
    pub help: &'static str,
}

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> BuiltIn {
    BuiltIn {
        name,
        kind: Counter,
        unit: None,
        labels,
        help,
    }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> BuiltIn {
    BuiltIn {
        name,
        kind: Gauge,
        unit: None,
        labels,
        help,
    }
}

const fn seconds(kind: FamilyKind, name: &'static str, help: &'static str) -> BuiltIn {
    BuiltIn {
        name,
        kind,
        unit: Some("seconds"),
        labels: &["gate"],
        help,
    }
}

pub(super) const OFFERED: BuiltIn = counter(
    "plimsoll_offered",
    &["gate"],
    "Requests that were admitted, rejected, or left the queue",
);
pub(super) const ADMITTED: BuiltIn = counter("plimsoll_admitted", &["gate"], "Requests admitted");
pub(super) const REJECTED: BuiltIn = counter(
    "plimsoll_rejected",
    &["gate", "policy", "kind"],
    "Requests rejected",
);
pub(super) const BY_CRITICALITY: BuiltIn = counter(
    "plimsoll_rejected_by_criticality",
    &["gate", "criticality"],
    "Requests rejected, by their importance",
);
pub(super) const ABANDONED: BuiltIn = counter(
    "plimsoll_abandoned",
    &["gate"],
    "Requests that left the queue before they could run",
);
pub(super) const FINISHED: BuiltIn = counter(
    "plimsoll_finished",
    &["gate", "class"],
    "Admitted requests that ended",
);
pub(super) const BODY_DROPPED: BuiltIn = counter(
    "plimsoll_body_dropped",
    &["gate"],
    "Answers whose body the caller dropped before its end",
);
pub(super) const MISSING_KEYS: BuiltIn = counter(
    "plimsoll_missing_keys",
    &["gate"],
    "Requests from which a policy of the gate read no key",
);
pub(super) const IN_FLIGHT: BuiltIn = gauge(
    "plimsoll_in_flight",
    &["gate"],
    "Admitted requests that have not ended",
);
pub(super) const LATENCY: BuiltIn = seconds(
    Histogram,
    "plimsoll_latency_seconds",
    "Request to head of the response",
);
pub(super) const RECENT_LATENCY: BuiltIn = seconds(
    Summary,
    "plimsoll_recent_latency_seconds",
    "Request to head of the response: quantiles of the last minute or two",
);
pub(super) const WAIT: BuiltIn = seconds(Histogram, "plimsoll_wait_seconds", "Time in the queue");
pub(super) const RECENT_WAIT: BuiltIn = seconds(
    Summary,
    "plimsoll_recent_wait_seconds",
    "Time in the queue: quantiles of the last minute or two",
);
pub(super) const PERMIT: BuiltIn = seconds(
    Histogram,
    "plimsoll_permit_seconds",
    "Admission to the end of the body, of a sample of the requests",
);
pub(super) const LOAD: BuiltIn = gauge("plimsoll_load", &["signal"], "Load: 0 idle, 1 at capacity");
pub(super) const OVERLOADED_AT: BuiltIn = gauge(
    "plimsoll_overloaded_at",
    &[],
    "The load above which /health/load answers 503",
);
pub(super) const ALARM: BuiltIn = gauge(
    "plimsoll_alarm",
    &["alarm", "gate", "policy"],
    "1 while the alarm is raised",
);
pub(super) const MISSED_EVENTS: BuiltIn = counter(
    "plimsoll_missed_events",
    &[],
    "Events that were dropped before they were delivered",
);
pub(super) const SHORTENED_NAMES: BuiltIn = counter(
    "plimsoll_shortened_names",
    &[],
    "Names of gates that were too long",
);
pub(super) const GATES_MERGED: BuiltIn = counter(
    "plimsoll_gates_merged",
    &[],
    "Gates beyond the bound, which are counted together as the gate other",
);
pub(super) const FAILED_READINGS: BuiltIn = counter(
    "plimsoll_failed_readings",
    &[],
    "Readings that panicked or returned an unknown state",
);

/// The families of this crate, in the order in which they are exported. Figures of
/// [watched](crate::Metrics::watch) policies come after those of the gates.
pub const FAMILIES: &[BuiltIn] = &[
    OFFERED,
    ADMITTED,
    REJECTED,
    BY_CRITICALITY,
    ABANDONED,
    FINISHED,
    BODY_DROPPED,
    MISSING_KEYS,
    IN_FLIGHT,
    LATENCY,
    RECENT_LATENCY,
    WAIT,
    RECENT_WAIT,
    PERMIT,
    LOAD,
    OVERLOADED_AT,
    ALARM,
    MISSED_EVENTS,
    SHORTENED_NAMES,
    GATES_MERGED,
    FAILED_READINGS,
];
