//! Figures of policies: which are shown beside others, and how those of several processes merge.

use crate::reading::{FigureReading, Kind, PolicyReading};

/// Gauges that are numbers of requests, keys or tokens: their sum is the figure of a fleet. Of
/// other gauges (loads, ratios, times) a fleet shows the highest.
const SUMMED: [&str; 12] = [
    "budget",
    "evicted",
    "held",
    "in_flight",
    "in_use",
    "keys",
    "limit",
    "open",
    "probing",
    "queue_capacity",
    "queued",
    "rate",
];

/// The rank of a state: 2 rejects, 1 is on trial, 0 is neither.
pub(crate) fn rank(state: &str) -> u8 {
    match state {
        "half-open" | "recovering" | "forced-closed" | "disabled" => 1,
        _ if state.contains("open") => 2,
        _ => 0,
    }
}

/// Adds the policies of another process.
pub(crate) fn merge_policies(into: &mut Vec<PolicyReading>, from: Vec<PolicyReading>) {
    for policy in from {
        match into.iter_mut().find(|of| of.policy == policy.policy) {
            Some(of) => {
                for figure in policy.figures {
                    match of.figures.iter_mut().find(|mine| mine.name == figure.name) {
                        Some(mine) => merge(mine, &figure),
                        None => of.figures.push(figure),
                    }
                }
            }
            None => into.push(policy),
        }
    }
}

fn merge(mine: &mut FigureReading, other: &FigureReading) {
    let (Some(a), Some(b)) = (mine.value, other.value) else {
        mine.value = mine.value.or(other.value);
        return;
    };
    let value = match mine.kind {
        Kind::Counter => a + b,
        Kind::Gauge if SUMMED.contains(&&*mine.name) => a + b,
        Kind::Gauge => a.max(b),
        // The state of the fleet is the worst one.
        Kind::State => {
            let (my, its) = (mine.state().map(rank), other.state().map(rank));
            if its > my { b } else { a }
        }
    };
    mine.value = value.is_finite().then_some(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(figures: &[(&'static str, Kind, f64)]) -> PolicyReading {
        let figures = figures.iter().map(|(name, kind, value)| FigureReading {
            name: (*name).into(),
            kind: *kind,
            unit: None,
            help: "".into(),
            states: vec!["closed".into(), "open".into(), "half-open".into()],
            value: Some(*value),
        });
        PolicyReading {
            policy: "p".to_owned(),
            figures: figures.collect(),
            settings: Vec::new(),
        }
    }

    #[test]
    fn limits_are_summed_loads_are_the_highest_and_the_worst_state_is_shown() {
        let one = [
            ("limit", Kind::Gauge, 10.0),
            ("load", Kind::Gauge, 0.4),
            ("state", Kind::State, 2.0),
        ];
        let two = [
            ("limit", Kind::Gauge, 20.0),
            ("load", Kind::Gauge, 0.3),
            ("state", Kind::State, 1.0),
        ];
        let mut merged = vec![policy(&one)];
        merge_policies(&mut merged, vec![policy(&two)]);
        let values: Vec<_> = merged[0]
            .figures
            .iter()
            .map(|figure| figure.value)
            .collect();
        assert_eq!(values, [Some(30.0), Some(0.4), Some(1.0)]);
    }
}
