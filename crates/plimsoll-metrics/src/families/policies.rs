//! The figures of watched policies as families: one for each name.

use plimsoll_core::figures::{Figure, FigureKind};

use super::{Family, FamilyKind, Labels, Sample, Value};
use crate::Snapshot;

/// The prefix of all figures, so that none has the name of a family of gates.
pub(crate) const FIGURES: &str = "plimsoll_policy_";

/// One family for each name of a figure, in the order in which the policies state them.
///
/// Two figures of one name must have the same type, unit and help; a figure that differs from the
/// first of its name is left out.
pub(super) fn families(snapshot: &Snapshot) -> Vec<Family> {
    let mut families: Vec<(&Figure, Family)> = Vec::new();
    for gate in &snapshot.gates {
        for policy in &gate.policies {
            let labels = vec![
                ("gate", gate.name.clone()),
                ("policy", policy.policy.clone()),
            ];
            for (figure, value) in policy.figures.iter().filter(|(figure, _)| is_valid(figure)) {
                let known = families.iter().position(|(of, _)| of.name == figure.name);
                let at = known.unwrap_or_else(|| {
                    families.push((figure, family(figure)));
                    families.len() - 1
                });
                let (of, family) = &mut families[at];
                if *of == *figure {
                    family.samples.extend(samples(figure, &labels, *value));
                }
            }
        }
    }
    families.into_iter().map(|(_, family)| family).collect()
}

/// Names become part of an exposition: lower-case letters, digits and underscores.
fn is_valid(figure: &Figure) -> bool {
    let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let name = |name: &str| (1..=64).contains(&name.len()) && name.bytes().all(good);
    let line = |c: char| !c.is_control() && c != '"' && c != '\\';
    name(figure.name) && figure.unit.is_none_or(name) && figure.help.chars().all(line)
}

fn family(figure: &Figure) -> Family {
    let mut name = format!("{FIGURES}{}", figure.name);
    if let Some(unit) = figure.unit {
        name.extend(["_", unit]);
    }
    Family {
        name: name.into(),
        help: figure.help.into(),
        kind: match figure.kind {
            FigureKind::Counter => FamilyKind::Counter,
            _ => FamilyKind::Gauge,
        },
        unit: figure.unit,
        samples: Vec::new(),
    }
}

fn samples(figure: &Figure, labels: &Labels, value: f64) -> Vec<Sample> {
    let one = |labels, value| Sample { labels, value };
    match figure.kind {
        FigureKind::State(states) => {
            let state = |(at, state): (usize, &&str)| {
                let mut labels = labels.clone();
                labels.push(("state", (*state).to_owned()));
                let holds = value == at as f64;
                one(labels, Value::Number(f64::from(u8::from(holds))))
            };
            states.iter().enumerate().map(state).collect()
        }
        // A counter that is unknown is left out: a counter has no value for it.
        FigureKind::Counter if !(value >= 0.0) => Vec::new(),
        FigureKind::Counter => vec![one(labels.clone(), Value::Count(value as u64))],
        _ => vec![one(labels.clone(), Value::Number(value))],
    }
}
