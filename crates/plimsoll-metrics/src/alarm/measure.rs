//! What an alarm measures.

use std::sync::Arc;

use plimsoll_core::{
    Criticality, LoadSignal,
    figures::{self, Figure},
};

use crate::{
    GateCounts, PolicySnapshot,
    derived::{fill, value},
};

/// What is measured.
pub(super) enum Measure {
    Saturation,
    BreakerOpen,
    BudgetEmpty,
    Rejections,
    Drops,
    Shedding(Criticality),
    Load(Arc<dyn LoadSignal + Send + Sync>),
}

/// A measured value, or two counts whose share over a window is the value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Measured {
    Value(f64),
    Counts(u64, u64),
}

impl Measure {
    /// What is measured of a whole gate, if anything.
    pub(super) fn of_gate(&self, counts: &GateCounts) -> Option<Measured> {
        matches!(self, Self::Rejections).then(|| {
            let rejected = counts.rejected();
            Measured::Counts(rejected, rejected + counts.admitted)
        })
    }

    /// What is measured of a policy or a part, if it has the figures.
    pub(super) fn of_policy(&self, policy: &PolicySnapshot) -> Option<Measured> {
        let value = |figure| value(policy, figure);
        match self {
            Self::Saturation => {
                let limit = value(&figures::LIMIT).filter(|limit| *limit > 0.0);
                let used = limit.and_then(|limit| Some(value(&figures::IN_USE)? / limit));
                let larger = match (used, fill(policy)) {
                    (Some(used), Some(queued)) => used.max(queued),
                    (used, queued) => used.or(queued)?,
                };
                Some(Measured::Value(larger))
            }
            Self::BreakerOpen => open(policy).map(|open| Measured::Value(f64::from(open))),
            Self::BudgetEmpty => {
                let empty = value(&figures::BUDGET)? < 1.0;
                Some(Measured::Value(f64::from(u8::from(empty))))
            }
            Self::Drops => Some(counts(value(&figures::DROPPED)?, value(&figures::SENT)?)),
            Self::Shedding(criticality) => {
                let of = |all: &'static [Figure; 4]| value(&all[*criticality as usize]);
                let shed = of(&figures::SHED_AS)?;
                Some(counts(shed, shed + of(&figures::ADMITTED_AS)?))
            }
            Self::Rejections | Self::Load(_) => None,
        }
    }
}

/// Counters as integers. The casts saturate.
fn counts(part: f64, whole: f64) -> Measured {
    Measured::Counts(part as u64, whole as u64)
}

/// Whether a breaker rejects: by the words of its state.
fn open(policy: &PolicySnapshot) -> Option<bool> {
    // Only breakers have a time to the next probe; other policies have states, too.
    let is_breaker = policy
        .figures
        .iter()
        .any(|(figure, _)| figure.is(&figures::PROBE_IN));
    let mut states = policy.figures.iter().filter(|_| is_breaker);
    let state = states.find_map(|(figure, value)| {
        (figure.name == "state").then(|| figure.state_name(*value))?
    })?;
    Some(matches!(state, "open" | "forced-open" | "half-open"))
}
