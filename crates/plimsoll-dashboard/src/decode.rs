//! Readings of peers: parsed, bounded and checked. A peer may be of another version, or hostile.

use crate::{
    counts::{Counts, Text},
    event::BoardEvent,
    reading::{FigureReading, GateReading, PolicyReading, Reading, VERSION},
};

/// The longest reading, in bytes: 64 gates with full histograms are about 3 MiB as JSON.
/// `a_reading_that_is_too_long_is_rejected` fails when it differs.
pub(crate) const MAX_BYTES: usize = 4 << 20;
/// Bounds of lists. Each is at least twice what a process of this version sends.
const MAX_GATES: usize = 130;
const MAX_POLICIES: usize = 32;
const MAX_FIGURES: usize = 64;
const MAX_STATES: usize = 32;
const MAX_SERIES: usize = 256;
const MAX_EVENTS: usize = 256;
/// The longest name or text, in bytes; longer ones are cut.
const MAX_TEXT: usize = 256;

/// Parses a reading of a peer.
pub(crate) fn decode(bytes: &[u8]) -> Result<Reading, String> {
    if bytes.len() > MAX_BYTES {
        return Err(format!("more than {MAX_BYTES} bytes"));
    }
    let mut reading: Reading =
        serde_json::from_slice(bytes).map_err(|error| format!("not a reading: {error}"))?;
    if reading.version != VERSION {
        return Err(format!(
            "version must be {VERSION}, got {}",
            reading.version
        ));
    }
    if !bounded(&reading) {
        return Err("lists are longer than those of a process".to_owned());
    }
    for gate in &mut reading.gates {
        clip_gate(gate);
    }
    for (name, load) in &mut reading.loads {
        clip(name);
        *load = load.filter(|load| load.is_finite());
    }
    reading.events.iter_mut().for_each(clip_event);
    Ok(reading)
}

fn bounded(reading: &Reading) -> bool {
    let figures = |policy: &PolicyReading| {
        policy.figures.len() <= MAX_FIGURES
            && policy.settings.len() <= MAX_FIGURES
            && policy
                .figures
                .iter()
                .all(|figure| figure.states.len() <= MAX_STATES)
    };
    let counts = |counts: &Counts| {
        counts.finished.len() <= MAX_STATES && counts.rejected.len() <= MAX_SERIES
    };
    reading.gates.len() <= MAX_GATES
        && reading.loads.len() <= MAX_GATES
        && reading.events.len() <= MAX_EVENTS
        && reading.gates.iter().all(|gate| {
            counts(&gate.counts)
                && gate.policies.len() <= MAX_POLICIES
                && gate.policies.iter().all(figures)
        })
}

fn clip_gate(gate: &mut GateReading) {
    clip(&mut gate.name);
    for (class, _) in &mut gate.counts.finished {
        clip_text(class);
    }
    for (policy, kind, _) in &mut gate.counts.rejected {
        clip_text(policy);
        clip_text(kind);
    }
    for policy in &mut gate.policies {
        clip(&mut policy.policy);
        policy.figures.iter_mut().for_each(clip_figure);
        for (name, text) in &mut policy.settings {
            clip_text(name);
            clip(text);
        }
    }
}

fn clip_figure(figure: &mut FigureReading) {
    clip_text(&mut figure.name);
    clip_text(&mut figure.help);
    figure.unit.iter_mut().for_each(clip_text);
    figure.states.iter_mut().for_each(clip_text);
    figure.value = figure.value.filter(|value| value.is_finite());
}

fn clip_event(event: &mut BoardEvent) {
    for text in [
        &mut event.gate,
        &mut event.policy,
        &mut event.from,
        &mut event.to,
        &mut event.reason,
    ] {
        clip(text);
    }
    clip_text(&mut event.figure);
    event.key.iter_mut().for_each(clip);
    event.peer = None;
}

fn clip_text(text: &mut Text) {
    if text.len() > MAX_TEXT {
        clip(text.to_mut());
    }
}

pub(crate) fn clip(text: &mut String) {
    if text.len() > MAX_TEXT {
        let end = (0..=MAX_TEXT).rev().find(|at| text.is_char_boundary(*at));
        text.truncate(end.unwrap_or_default());
    }
}
