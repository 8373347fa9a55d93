//! Events of `tracing`: changes of policies, and summaries of rejections.
//!
//! Emitted in the steps of the watcher, never on the path of a request.

use std::{collections::BTreeMap, time::Duration};

use plimsoll_core::{
    Kind,
    figures::{Change, Figure, THRESHOLD},
};
use tokio::time::Instant;
use tracing::Level;

use crate::{Event, GateCounts, alarm::Readings};

/// The target of all events.
pub(crate) const TARGET: &str = "plimsoll";
/// Least time between two summaries of rejections.
const EVERY: Duration = Duration::from_secs(1);

/// Emits an event for a change: a warning when less is admitted or an alarm is raised, information
/// in all other cases.
pub(crate) fn event(event: &Event) {
    let change = &event.change;
    let level = level(change);
    // Texts are made only for a subscriber that listens.
    let listens = match level {
        Level::WARN => tracing::enabled!(target: TARGET, Level::WARN),
        _ => tracing::enabled!(target: TARGET, Level::INFO),
    };
    if !listens {
        return;
    }
    let (from, to) = (
        text(change.figure, change.from),
        text(change.figure, change.to),
    );
    macro_rules! emit {
        ($emit:ident) => {
            tracing::$emit!(
                target: TARGET,
                { plimsoll.gate = %event.gate,
                plimsoll.policy = %event.policy,
                plimsoll.figure = change.figure.name,
                plimsoll.from = %from,
                plimsoll.to = %to,
                plimsoll.reason = %change.reason,
                plimsoll.key = change.key.as_deref(),
                plimsoll.by_hand = change.by_hand,
                plimsoll.event = event.number },
                "{} changed", change.figure.name
            )
        };
    }
    if level == Level::WARN {
        emit!(warn);
    } else {
        emit!(info);
    }
}

fn level(change: &Change) -> Level {
    let worse = match change.figure.state_name(change.to) {
        Some(state) => matches!(
            state,
            "open" | "forced-open" | "raised" | "yes" | "local" | "admits all" | "rejects all"
        ),
        None => change.figure.is(&THRESHOLD) && change.to > change.from,
    };
    if worse { Level::WARN } else { Level::INFO }
}

fn text(figure: &Figure, value: f64) -> String {
    let state = figure.state_name(value).map(str::to_owned);
    state.unwrap_or_else(|| value.to_string())
}

/// What was counted at the last summary.
#[derive(Debug, Default)]
pub(crate) struct Rejections {
    at: Option<Instant>,
    before: BTreeMap<String, [u64; Kind::ALL.len()]>,
}

impl Rejections {
    /// Emits an event for each gate that has rejected requests since the last summary, at most once
    /// a second.
    pub(crate) fn report(&mut self, readings: &Readings, now: Instant) {
        let since = self.at.map(|at| now.saturating_duration_since(at));
        if since.is_some_and(|since| since < EVERY) {
            return;
        }
        self.at = Some(now);
        for (gate, counts) in &readings.gates {
            let counted = by_kind(counts);
            let before = self
                .before
                .insert(gate.clone(), counted)
                .unwrap_or_default();
            let mut new = counted;
            for (new, before) in new.iter_mut().zip(before) {
                *new = new.saturating_sub(before);
            }
            if new.iter().any(|count| *count > 0) {
                // A subscriber that panics must not stop the watcher.
                _ = crate::pulled::attempt(|| summary(gate, new, since));
            }
        }
    }
}

fn by_kind(counts: &GateCounts) -> [u64; Kind::ALL.len()] {
    let mut all = [0; Kind::ALL.len()];
    for one in &counts.rejected {
        if let Some(count) = all.get_mut(one.kind.index()) {
            *count += one.count;
        }
    }
    all
}

fn summary(gate: &str, rejected: [u64; Kind::ALL.len()], since: Option<Duration>) {
    let of = |kind: Kind| rejected.get(kind.index()).copied().unwrap_or_default();
    let most = Kind::ALL.into_iter().max_by_key(|kind| of(*kind));
    tracing::info!(
        target: TARGET,
        { plimsoll.gate = gate,
        "error.type" = most.map(Kind::as_str),
        plimsoll.rejected = rejected.iter().sum::<u64>(),
        plimsoll.rejected.over_quota = of(Kind::OverQuota),
        plimsoll.rejected.full = of(Kind::Full),
        plimsoll.rejected.circuit_open = of(Kind::CircuitOpen),
        plimsoll.rejected.deadline = of(Kind::Deadline),
        plimsoll.rejected.skipped = of(Kind::Skipped),
        plimsoll.seconds = since.map(|since| since.as_secs_f64()) },
        "requests rejected"
    );
}
