//! The scenarios of the lab, and those from files.

use std::{fs, path::Path};

use crate::{
    random,
    scenario::{Arrivals, Scenario, Trace},
    trace,
};

macro_rules! built_in {
    ($($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!("../scenarios/", $name, ".toml")))),+]
    };
}

/// Names and texts, in the order of the tables.
pub(crate) const BUILT_IN: &[(&str, &str)] = built_in![
    "load-curve",
    "sizes",
    "laws",
    "step-1.4x",
    "step-2x",
    "step-10x",
    "capacity-halves",
    "slows-down",
    "drift",
    "cold-start",
    "flood",
    "after-idle",
    "hang-ups",
    "leavers",
    "short-deadlines",
    "bursts",
    "pauses",
    "noisy-machine",
    "bimodal",
    "rare-long-calls",
    "mixed-routes",
    "mix-shifts",
    "usl",
    "lock-bound",
    "chain",
    "metastable",
    "priority",
    "important-bursts",
    "tasks",
    "tasks-mixed",
    "fair",
    "outage",
    "grid",
];

/// Scenarios that are not part of `all`.
const BY_NAME_ONLY: &[&str] = &["grid", "outage"];

/// The scenarios with this name: a scenario of the lab, `all` of them, or a file.
pub(crate) fn find(name: &str, trace: Option<&Path>) -> Result<Vec<Scenario>, String> {
    let mut found = match BUILT_IN.iter().find(|(known, _)| *known == name) {
        Some((name, text)) => vec![read(name, text)?],
        None if name == "random" => random::LOOKED_AT.map(random::scenario).collect(),
        None if name == "random-unseen" => random::UNSEEN.map(random::scenario).collect(),
        None if let Some(drawn) = random::named(name) => vec![drawn],
        None if name == "all" => BUILT_IN
            .iter()
            .filter(|(name, _)| !BY_NAME_ONLY.contains(name))
            .map(|(name, text)| read(name, text))
            .collect::<Result<_, _>>()?,
        None => {
            let path = Path::new(name);
            let text = fs::read_to_string(path).map_err(|e| {
                format!("{name}: not a scenario of the lab, and not a readable file: {e}")
            })?;
            let stem = path
                .file_stem()
                .map_or(name.into(), |s| s.to_string_lossy());
            vec![read(&stem, &text)?]
        }
    };
    if let Some(path) = trace {
        let gaps = trace::read(path)?;
        for scenario in &mut found {
            let gaps = gaps.clone();
            scenario.arrivals = Arrivals::Trace(Trace { gaps });
        }
    }
    Ok(found)
}

/// Parses a scenario, and checks its values.
pub(crate) fn read(name: &str, text: &str) -> Result<Scenario, String> {
    let mut scenario: Scenario = toml::from_str(text).map_err(|e| format!("{name}: {e}"))?;
    name.clone_into(&mut scenario.name);
    scenario
        .check()
        .map_err(|wrong| format!("{name}: {wrong}"))?;
    Ok(scenario)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_readme_is_a_scenario() {
        let readme = include_str!("../scenarios/README.md");
        let (_, rest) = readme.split_once("```toml\n").unwrap();
        let (example, _) = rest.split_once("```").unwrap();
        assert_eq!(read("example", example).unwrap().step.len(), 1);
    }

    #[test]
    fn invalid_scenarios_are_errors_that_name_the_field() {
        let (_, text) = BUILT_IN[0];
        let wrong = |from: &str, to: &str| read("x", &text.replace(from, to)).unwrap_err();
        assert!(wrong("requests = 60_000", "").contains("seconds"));
        assert!(wrong("count = 50", "count = 0").contains("capacity"));
        assert!(wrong("mean-ms", "mean").contains("mean"));
        assert!(find("no-such-scenario", None).is_err());
    }
}
