//! The figures of watched policies as families: one for each name.

use std::mem::discriminant;

use plimsoll_core::figures::{Figure, FigureKind};

use super::{Family, FamilyKind, Labels, Sample, Value};
use crate::{PolicySnapshot, Snapshot};

/// The prefix of all figures, so that none has the name of a family of gates.
const FIGURES: &str = "plimsoll_policy_";
/// The prefix of the figures of parts that belong to no gate.
const PARTS: &str = "plimsoll_part_";

/// One family for each name of a figure, in the order in which the policies state them.
///
/// Two figures of one name must have the same type and unit; a figure that differs from the first of
/// its name is left out. The help is that of the first.
pub(super) fn families(snapshot: &Snapshot) -> Vec<Family> {
    let mut families = Figured::default();
    for gate in &snapshot.gates {
        for policy in &gate.policies {
            let labels = vec![
                ("gate", gate.name.clone()),
                ("policy", policy.policy.clone()),
            ];
            families.add(FIGURES, policy, &labels);
        }
    }
    let mut parts = Figured::default();
    for part in &snapshot.parts {
        let labels = vec![
            ("name", part.name.clone()),
            ("part", part.figures.policy.clone()),
        ];
        parts.add(PARTS, &part.figures, &labels);
    }
    let both = families.0.into_iter().chain(parts.0);
    both.map(|(_, family)| family).collect()
}

/// Families, each with the figure that came first.
#[derive(Default)]
struct Figured(Vec<(&'static Figure, Family)>);

impl Figured {
    fn add(&mut self, prefix: &str, policy: &PolicySnapshot, labels: &Labels) {
        for (figure, value) in policy.figures.iter().filter(|(figure, _)| is_valid(figure)) {
            let known = self.0.iter().position(|(of, _)| of.name == figure.name);
            let at = known.unwrap_or_else(|| {
                self.0.push((figure, family(prefix, figure)));
                self.0.len() - 1
            });
            let (of, family) = &mut self.0[at];
            if is_alike(of, figure) {
                family.samples.extend(samples(figure, labels, *value));
            }
        }
    }
}

fn is_alike(one: &Figure, other: &Figure) -> bool {
    one.unit == other.unit && discriminant(&one.kind) == discriminant(&other.kind)
}

/// Names become part of an exposition: lower-case letters, digits and underscores.
fn is_valid(figure: &Figure) -> bool {
    let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let name = |name: &str| (1..=64).contains(&name.len()) && name.bytes().all(good);
    let line = |c: char| !c.is_control() && c != '"' && c != '\\';
    let label = figure.label.is_none_or(|(label, _)| name(label));
    name(figure.name) && figure.unit.is_none_or(name) && label && figure.help.chars().all(line)
}

fn family(prefix: &str, figure: &Figure) -> Family {
    let mut name = format!("{prefix}{}", figure.name);
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
    let mut labels = labels.clone();
    if let Some((label, value)) = figure.label {
        labels.push((label, value.to_owned()));
    }
    match figure.kind {
        FigureKind::State(states) => {
            let state = |(at, state): (usize, &&str)| {
                let mut labels = labels.clone();
                labels.push(("state", (*state).to_owned()));
                // NaN is an unknown state: all are 0.
                let holds = (value - at as f64).abs() < 0.5;
                one(labels, Value::Number(f64::from(u8::from(holds))))
            };
            states.iter().enumerate().map(state).collect()
        }
        // A counter that is unknown is left out: a counter has no value for it.
        FigureKind::Counter if value.is_nan() || value < 0.0 => Vec::new(),
        FigureKind::Counter => vec![one(labels.clone(), Value::Count(value as u64))],
        _ => vec![one(labels.clone(), Value::Number(value))],
    }
}
