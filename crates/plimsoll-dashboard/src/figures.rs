//! Figures of policies: which are shown beside others, and how those of several processes merge.

use crate::reading::{FigureReading, Kind, PolicyReading};

/// Gauges that are numbers of requests, keys or tokens: their sum is the figure of a fleet. Of
/// other gauges (loads, ratios, times) a fleet shows the highest.
const SUMMED: [&str; 12] = [
    "borrowed",
    "budget",
    "clients",
    "guaranteed",
    "in_use",
    "key_capacity",
    "keys",
    "limit",
    "open_keys",
    "queue_capacity",
    "queued",
    "quota",
];

/// The rank of a state: 2 rejects, 1 is on trial, by hand, or in trouble, 0 is neither. States that
/// are not in the list are shown and change no colour.
pub(crate) fn rank(figure: &str, state: &str) -> u8 {
    match (figure, state) {
        (_, "open" | "forced-open" | "raised") => 2,
        (_, "half-open" | "recovering" | "forced-closed" | "disabled") | ("saturated", "yes") => 1,
        _ => 0,
    }
}

/// Adds the policies of another process.
pub(crate) fn merge_policies(into: &mut Vec<PolicyReading>, from: Vec<PolicyReading>) {
    for policy in from {
        match into.iter_mut().find(|of| of.policy == policy.policy) {
            Some(of) => {
                for (at, figure) in policy.figures.iter().enumerate() {
                    // Several figures may have one name: the third of a name is added to the third.
                    let before = policy.figures.iter().take(at);
                    let nth = before.filter(|other| other.name == figure.name).count();
                    let mut mine = of
                        .figures
                        .iter_mut()
                        .filter(|mine| mine.name == figure.name);
                    match mine.nth(nth) {
                        Some(mine) => merge(mine, figure),
                        None => of.figures.push(figure.clone()),
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
            let of = |figure: &FigureReading| figure.state().map(|state| rank(&figure.name, state));
            if of(other) > of(mine) { b } else { a }
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
            ("shed", Kind::Counter, 1.0),
            ("shed", Kind::Counter, 2.0),
            ("limit", Kind::Gauge, 10.0),
            ("load", Kind::Gauge, 0.4),
            ("state", Kind::State, 2.0),
        ];
        let two = [
            ("shed", Kind::Counter, 10.0),
            ("shed", Kind::Counter, 20.0),
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
        let expected = [11.0, 22.0, 30.0, 0.4, 1.0].map(Some);
        assert_eq!(values, expected);
    }
}
