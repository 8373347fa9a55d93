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
pub(crate) const MAX_OFFENDERS: usize = 10;
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
    for alarm in &mut reading.alarms {
        clip(&mut alarm.alarm);
        clip(&mut alarm.gate);
        clip(&mut alarm.policy);
        alarm.value = alarm.value.filter(|value| value.is_finite());
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
        && reading.alarms.len() <= MAX_SERIES
        && reading.gates.iter().all(|gate| {
            counts(&gate.counts)
                && gate.policies.len() <= MAX_POLICIES
                && gate.policies.iter().all(figures)
                && gate.offenders.len() <= MAX_OFFENDERS
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
    for (key, _) in &mut gate.offenders {
        clip(key);
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::delta::deltas;

    /// JSON of the shape of a reading, with hostile values in it.
    fn hostile() -> impl Strategy<Value = String> {
        let number = prop_oneof![
            Just("0".to_owned()),
            Just("-1".to_owned()),
            Just("1e400".to_owned()),
            Just("null".to_owned()),
            Just("18446744073709551615".to_owned()),
            Just("9007199254740992".to_owned()),
            Just("1.5".to_owned()),
            (0..1_000_000_u64).prop_map(|number| number.to_string()),
        ];
        let text = prop_oneof![
            Just("a".repeat(100_000)),
            ".{0,4}",
            Just("<img src=x>".to_owned())
        ];
        let buckets = proptest::collection::vec((number.clone(), number.clone()), 0..4);
        let parts = (number.clone(), buckets).prop_map(|(nanos, buckets)| {
            let pairs: Vec<_> = buckets
                .iter()
                .map(|(value, count)| format!("[{value},{count}]"))
                .collect();
            format!("{{\"nanos\":{nanos},\"buckets\":[{}]}}", pairs.join(","))
        });
        let gate = (text, number.clone(), parts, number, 0..40_usize).prop_map(|(name, count, parts, value, states)| {
            let name = serde_json::to_string(&name).unwrap();
            let states = vec!["\"open\""; states].join(",");
            format!(
                "{{\"name\":{name},\"counts\":{{\"admitted\":{count},\"abandoned\":0,\"body_dropped\":0,\"missing_keys\":0,\
                 \"finished\":[[{name},{count}]],\"rejected\":[[{name},\"full\",{count}]]}},\
                 \"latency\":{parts},\"waits\":{parts},\"permits\":{parts},\"policies\":[{{\"policy\":{name},\"settings\":[],\
                 \"figures\":[{{\"name\":\"state\",\"kind\":\"state\",\"unit\":null,\"help\":{name},\"states\":[{states}],\"value\":{value}}}]}}],\"offenders\":[[{name},{count}]]}}"
            )
        });
        proptest::collection::vec(gate, 0..4).prop_map(|gates| {
            format!(
                "{{\"version\":1,\"gates\":[{}],\"loads\":[],\"overloaded_at\":null,\"failed_readings\":0,\"alarms\":[],\"is_ready\":true,\"events\":[]}}",
                gates.join(",")
            )
        })
    }

    proptest! {
        #[test]
        fn a_hostile_reading_is_rejected_or_bounded_and_never_panics(first in hostile(), then in hostile()) {
            let (first, then) = (decode(first.as_bytes()), decode(then.as_bytes()));
            if let (Ok(first), Ok(then)) = (first, then) {
                for gate in &then.gates {
                    prop_assert!(gate.name.len() <= MAX_TEXT);
                }
                let mut sum = deltas(&then, Some(&first));
                crate::delta::merge(&mut sum, deltas(&first, Some(&then)));
                let mut board = crate::board::Board::new(crate::ring::RINGS);
                board.advance(1, 1.0, sum.clone());
                board.advance(2, 1.0, sum);
                let about = crate::update::About {
                    number: 1,
                    at: 1,
                    writable: false,
                    fleet: true,
                    peers: &[],
                    cost: crate::update::Cost::default(),
                };
                let update = crate::update::Update::of(&board, &about);
                prop_assert!(serde_json::to_string(&update).is_ok());
            }
        }

        #[test]
        fn any_bytes_are_rejected_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(decode(&bytes).is_err());
        }
    }

    #[test]
    fn a_reading_that_is_too_long_is_rejected() {
        let error = decode(&vec![b' '; MAX_BYTES + 1]).unwrap_err();
        assert_eq!(error, "more than 4194304 bytes");
    }

    #[test]
    fn a_text_is_cut_at_a_character() {
        let mut text = format!("a{}", "ü".repeat(200));
        clip(&mut text);
        assert_eq!(text.len(), MAX_TEXT - 1);
    }
}
