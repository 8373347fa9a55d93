//! The health of a gate, in a level and in words. Pure.

use serde::Serialize;

use crate::{figures::rank, point::Sums, reading::PolicyReading};

/// A share of failed or rejected requests above which a gate has a warning: 1 %. Below it, single
/// requests would change the colour of a gate. `shares_and_states_make_the_level` fails when it
/// differs.
const WARN: f64 = 0.01;
/// A share of failed or rejected requests above which a gate is in trouble: one of five.
const BAD: f64 = 0.2;
/// A share of a limit or a queue in use above which it is named: the 80 % of the usual alert.
const NEARLY: f64 = 0.8;

/// How a gate does. The order is that of the cards: worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    Idle,
    Ok,
    Warn,
    Bad,
}

/// A level, and the reasons for it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Health {
    pub(crate) level: Level,
    pub(crate) words: Vec<String>,
}

/// Judges what a gate did recently, and the states of its policies.
pub(crate) fn health(recent: &Sums, policies: &[PolicyReading]) -> Health {
    let idle = recent.offered() <= 0.0;
    let mut health = Health {
        level: if idle { Level::Idle } else { Level::Ok },
        words: Vec::new(),
    };
    for policy in policies {
        for figure in &policy.figures {
            let Some(state) = figure.state() else {
                continue;
            };
            match rank(&figure.name, state) {
                2 => health.add(Level::Bad, format!("{} {state}", policy.policy)),
                1 => health.add(Level::Warn, format!("{} {state}", policy.policy)),
                _ => {}
            }
        }
    }
    let (rejecting, failing) = (recent.rejecting(), recent.failing());
    if rejecting > WARN {
        let words = format!("rejects {:.0} %: {}", rejecting * 100.0, recent.reason());
        health.add(level(rejecting), words);
    }
    if failing > WARN {
        health.add(level(failing), format!("{:.0} % fail", failing * 100.0));
    }
    for policy in policies {
        if nearly(policy, "queued", "queue_capacity") {
            health.add(Level::Warn, "queue nearly full".to_owned());
        }
        if nearly(policy, "in_use", "limit") {
            // A limit in full use is what a limit is for: it is named, and no warning of its own.
            health.words.push("at its limit".to_owned());
        }
    }
    if health.words.is_empty() {
        health
            .words
            .push(if idle { "idle" } else { "healthy" }.to_owned());
    }
    health
}

impl Health {
    fn add(&mut self, level: Level, words: String) {
        self.level = self.level.max(level);
        self.words.push(words);
    }
}

fn level(share: f64) -> Level {
    if share > BAD { Level::Bad } else { Level::Warn }
}

fn nearly(policy: &PolicyReading, part: &str, of: &str) -> bool {
    match (policy.figure(part), policy.figure(of)) {
        (Some(part), Some(of)) => of > 0.0 && part >= NEARLY * of,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        counts::Counts,
        delta::GateDelta,
        reading::{FigureReading, Kind},
    };

    fn recent(admitted: u64, failed: u64, rejected: u64) -> Sums {
        let mut sums = Sums::default();
        let new = Counts {
            admitted,
            finished: vec![("failure".into(), failed)],
            rejected: vec![("concurrency".into(), "full".into(), rejected)],
            ..Counts::default()
        };
        let delta = GateDelta {
            new,
            ..GateDelta::default()
        };
        sums.add(&delta, 1.0);
        sums
    }

    fn breaker(state: f64) -> PolicyReading {
        PolicyReading {
            policy: "circuit-breaker".to_owned(),
            figures: vec![FigureReading {
                name: "state".into(),
                kind: Kind::State,
                unit: None,
                help: "".into(),
                states: vec!["closed".into(), "open".into(), "half-open".into()],
                value: Some(state),
            }],
            settings: Vec::new(),
        }
    }

    #[test]
    fn shares_and_states_make_the_level() {
        let of = |sums: &Sums, policies: &[PolicyReading]| {
            let health = health(sums, policies);
            (health.level, health.words.join(", "))
        };
        let words = |level, words: &str| (level, words.to_owned());
        assert_eq!(of(&Sums::default(), &[]), words(Level::Idle, "idle"));
        assert_eq!(of(&recent(1000, 0, 10), &[]), words(Level::Ok, "healthy"));
        assert_eq!(
            of(&recent(100, 0, 5), &[]),
            words(Level::Warn, "rejects 5 %: full")
        );
        assert_eq!(
            of(&recent(100, 0, 100), &[]),
            words(Level::Bad, "rejects 50 %: full")
        );
        assert_eq!(of(&recent(100, 30, 0), &[]), words(Level::Bad, "30 % fail"));
        assert_eq!(
            of(&Sums::default(), &[breaker(0.0)]),
            words(Level::Idle, "idle")
        );
        assert_eq!(
            of(&Sums::default(), &[breaker(1.0)]),
            words(Level::Bad, "circuit-breaker open")
        );
        assert_eq!(
            of(&recent(1, 0, 0), &[breaker(2.0)]),
            words(Level::Warn, "circuit-breaker half-open")
        );
    }
}
