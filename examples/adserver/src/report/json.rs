//! The figures as JSON.

use serde_json::{Value, json as object};

use crate::figures::{Figures, Run};

/// Returns the figures as indented JSON.
pub(crate) fn json(figures: &Figures) -> String {
    let phases: Vec<Value> = figures
        .phases
        .iter()
        .map(|phase| {
            object!({
                "name": phase.name,
                "offered_rps": round(phase.plimsoll.total.offered_rps(), 10.0),
                "plimsoll": run(&phase.plimsoll, figures.capacity),
                "bare": run(&phase.bare, figures.capacity),
            })
        })
        .collect();
    let all = object!({
        "capacity_rps": round(figures.capacity, 10.0),
        "title": figures.title,
        "phase_seconds": figures.seconds,
        "short": figures.is_short(),
        "phases": phases,
    });
    format!("{all:#}\n")
}

fn run(run: &Run, capacity: f64) -> Value {
    let total = &run.total;
    object!({
        "goodput": round(run.goodput(capacity), 1_000.0),
        "p50_ms": total.p50_ms,
        "p99_ms": total.p99_ms,
        "p999_ms": total.p999_ms,
        "refused": total.refused,
        "degraded": total.degraded,
        "peak_rss_mib": round(run.peak_mib, 10.0),
        "offered": total.offered,
        "answered": total.answered,
        "recorded": total.recorded,
        "turned_away": total.turned_away,
        "late": total.late,
        "failed": total.failed,
        "unsent": total.unsent,
        "impressions": total.impressions,
        "worst_lag_ms": round(total.worst_lag_ms, 10.0),
        "void": run.is_void(),
    })
}

/// Rounds to a multiple of 1 / `parts`.
fn round(value: f64, parts: f64) -> f64 {
    (value * parts).round() / parts
}
