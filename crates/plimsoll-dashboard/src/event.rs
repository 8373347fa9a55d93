//! Events as the board shows them.

use std::{
    hash::{BuildHasher, RandomState},
    time::UNIX_EPOCH,
};

use plimsoll_core::figures::FigureKind;
use plimsoll_metrics::Event;
use serde::{Deserialize, Serialize};

use crate::counts::Text;

/// A change of a policy, in words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct BoardEvent {
    pub(crate) number: u64,
    /// Milliseconds since 1970.
    pub(crate) at: u64,
    pub(crate) gate: String,
    pub(crate) policy: String,
    pub(crate) figure: Text,
    /// Whether the figure is a state. Numbers change more often.
    pub(crate) state: bool,
    /// The value before, as text. Empty when it is unknown.
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) reason: String,
    pub(crate) key: Option<String>,
    /// The peer that reported it; `None` in its own readings.
    #[serde(default)]
    pub(crate) peer: Option<Text>,
}

/// How the keys of events are shown.
#[derive(Debug, Clone)]
pub(crate) enum Keys {
    /// As a hash under a seed of this process, since a key may be a secret or an address.
    Hashed(RandomState),
    /// As they are.
    Plain,
}

impl Keys {
    /// A key as the board shows it.
    pub(crate) fn shown(&self, key: &str) -> String {
        match self {
            Self::Hashed(seed) => format!("#{:08x}", seed.hash_one(key) as u32),
            Self::Plain => key.to_owned(),
        }
    }
}

impl BoardEvent {
    pub(crate) fn of(event: &Event, keys: &Keys) -> Self {
        let change = &event.change;
        let text = |value: f64| match change.figure.kind {
            _ if !value.is_finite() => String::new(),
            FigureKind::State(states) if value >= 0.0 => states
                .get(value as usize)
                .map_or_else(String::new, |state| (*state).to_owned()),
            _ => {
                let rounded = format!("{value:.3}");
                rounded
                    .trim_end_matches('0')
                    .trim_end_matches('.')
                    .to_owned()
            }
        };
        let at = event.at.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            number: event.number,
            at: u64::try_from(at.as_millis()).unwrap_or(u64::MAX),
            gate: event.gate.clone(),
            policy: event.policy.clone(),
            figure: change.figure.name.into(),
            state: matches!(change.figure.kind, FigureKind::State(_)),
            from: text(change.from),
            to: text(change.to),
            reason: change.reason.clone(),
            key: change.key.as_ref().map(|key| keys.shown(key)),
            peer: None,
        }
    }
}
