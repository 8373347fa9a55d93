//! All cumulative figures of one process: read from its metrics, or sent by a peer.

use std::borrow::Cow;

use plimsoll_core::figures::{Figure, FigureKind};
use plimsoll_metrics::{AlarmSnapshot, GateSnapshot, PartSnapshot, PolicySnapshot, Snapshot};
use serde::{Deserialize, Serialize};

use crate::{
    counts::{Counts, Text},
    event::{BoardEvent, Keys},
    histogram::Parts,
    sparse::Sparse,
};

/// The version of the format between peers. Readings with another version are rejected.
pub(crate) const VERSION: u32 = 1;

/// All figures of a process, since its start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Reading {
    pub(crate) version: u32,
    pub(crate) gates: Vec<GateReading>,
    pub(crate) loads: Vec<(String, Option<f64>)>,
    pub(crate) overloaded_at: Option<f64>,
    pub(crate) failed_readings: u64,
    /// The alarms that are raised.
    pub(crate) alarms: Vec<AlarmReading>,
    /// Whether `/health/ready` answers 200.
    pub(crate) is_ready: bool,
    pub(crate) events: Vec<BoardEvent>,
}

/// An alarm that is raised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct AlarmReading {
    pub(crate) alarm: String,
    /// The gate, part or load signal.
    pub(crate) gate: String,
    /// Empty for an alarm about a whole gate.
    pub(crate) policy: String,
    pub(crate) value: Option<f64>,
}

/// All figures of a gate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct GateReading {
    pub(crate) name: String,
    pub(crate) counts: Counts,
    #[serde(with = "Parts")]
    pub(crate) latency: Sparse,
    #[serde(with = "Parts")]
    pub(crate) waits: Sparse,
    #[serde(with = "Parts")]
    pub(crate) permits: Sparse,
    pub(crate) policies: Vec<PolicyReading>,
    /// The keys with the most rejections, as the board shows them.
    #[serde(default)]
    pub(crate) offenders: Vec<(String, u64)>,
}

/// All figures of a policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PolicyReading {
    pub(crate) policy: String,
    pub(crate) figures: Vec<FigureReading>,
    pub(crate) settings: Vec<(Text, String)>,
}

/// A figure with its definition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct FigureReading {
    pub(crate) name: Text,
    pub(crate) kind: Kind,
    pub(crate) unit: Option<Text>,
    pub(crate) help: Text,
    /// The names of the states; empty for numbers.
    pub(crate) states: Vec<Text>,
    /// `None` when it is unknown.
    pub(crate) value: Option<f64>,
}

/// The type of a figure. A type of a later core is shown as a gauge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Gauge,
    Counter,
    State,
}

impl Reading {
    pub(crate) fn of(snapshot: &Snapshot, keys: &Keys, events: Vec<BoardEvent>) -> Self {
        Self {
            version: VERSION,
            gates: snapshot
                .gates
                .iter()
                .map(|gate| GateReading::of(gate, keys))
                .chain(snapshot.parts.iter().map(GateReading::of_part))
                .collect(),
            loads: snapshot.loads.clone(),
            overloaded_at: Some(snapshot.overloaded_at),
            failed_readings: snapshot.failed_readings,
            alarms: snapshot
                .alarms
                .iter()
                .filter(|alarm| alarm.raised)
                .map(AlarmReading::of)
                .collect(),
            is_ready: snapshot.is_ready,
            events,
        }
    }
}

impl AlarmReading {
    fn of(alarm: &AlarmSnapshot) -> Self {
        Self {
            alarm: alarm.alarm.clone(),
            gate: alarm.gate.clone(),
            policy: alarm.policy.clone(),
            value: alarm.value.is_finite().then_some(alarm.value),
        }
    }
}

impl GateReading {
    /// A queue or a hub of a stream: figures without requests.
    fn of_part(part: &PartSnapshot) -> Self {
        Self {
            name: part.name.clone(),
            counts: Counts::default(),
            latency: Sparse::default(),
            waits: Sparse::default(),
            permits: Sparse::default(),
            policies: vec![PolicyReading::of(&part.figures)],
            offenders: Vec::new(),
        }
    }

    fn of(gate: &GateSnapshot, keys: &Keys) -> Self {
        let offenders = gate.offenders.iter();
        Self {
            name: gate.name.clone(),
            counts: Counts::of(&gate.counts),
            latency: Sparse::of(&gate.latency),
            waits: Sparse::of(&gate.waits),
            permits: Sparse::of(&gate.permits),
            policies: gate.policies.iter().map(PolicyReading::of).collect(),
            offenders: offenders
                .map(|of| (keys.shown(&of.key), of.rejected))
                .collect(),
        }
    }
}

impl PolicyReading {
    fn of(policy: &PolicySnapshot) -> Self {
        let figures = policy.figures.iter();
        let settings = policy.settings.iter();
        Self {
            policy: policy.policy.clone(),
            figures: figures
                .map(|(figure, value)| FigureReading::of(figure, *value))
                .collect(),
            settings: settings
                .map(|(name, text)| (Cow::Borrowed(*name), text.clone()))
                .collect(),
        }
    }

    pub(crate) fn figure(&self, name: &str) -> Option<f64> {
        let figure = self.figures.iter().find(|figure| figure.name == name);
        figure.and_then(|figure| figure.value)
    }
}

impl FigureReading {
    pub(crate) fn of(figure: &'static Figure, value: f64) -> Self {
        let (kind, states): (_, &[&str]) = match figure.kind {
            FigureKind::Counter => (Kind::Counter, &[]),
            FigureKind::State(states) => (Kind::State, states),
            _ => (Kind::Gauge, &[]),
        };
        Self {
            name: match figure.label {
                None => Cow::Borrowed(figure.name),
                Some((_, value)) => Cow::Owned(format!("{} {value}", figure.name)),
            },
            kind,
            unit: figure.unit.map(Cow::Borrowed),
            help: Cow::Borrowed(figure.help),
            states: states.iter().map(|state| Cow::Borrowed(*state)).collect(),
            value: value.is_finite().then_some(value),
        }
    }

    /// The name of the state, of a figure that is one.
    pub(crate) fn state(&self) -> Option<&str> {
        let at = self.value.filter(|at| *at >= 0.0)?;
        self.states.get(at as usize).map(|state| &**state)
    }
}
