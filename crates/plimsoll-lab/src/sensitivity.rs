//! The effect of each number of the adaptive limit: its score when the number is halved and doubled.
#![allow(clippy::print_stdout)]

use plimsoll_concurrency::Tuning;

use crate::{bench, contender, library, options::Options, point, scenario::Scenario};

/// Scenarios that together notice a wrong value of every number, and run in seconds.
const SCENARIOS: [&str; 14] = [
    "load-curve",
    "laws",
    "capacity-halves",
    "cold-start",
    "after-idle",
    "leavers",
    "short-deadlines",
    "bursts",
    "pauses",
    "rare-long-calls",
    "mixed-routes",
    "mix-shifts",
    "usl",
    "tasks",
];

/// Points of more arrivals are left out: 81 runs of all of them would take an hour.
const LARGE: f64 = 60_000.0;

/// A loss that is more than the noise between seeds.
const NOTICED: f64 = 0.02;

/// Names and scores of all points.
type Scores = Vec<(String, f64)>;

/// Prints the table of `docs/tuning.md`.
pub(crate) fn print(options: &Options) -> Result<(), String> {
    let scenarios = SCENARIOS.iter().map(|name| library::find(name, None));
    let scenarios = scenarios.collect::<Result<Vec<_>, _>>()?.concat();
    let usual = run(&scenarios, options, &Tuning::DEFAULT);
    println!(
        "Mean score of {} points with the values in use: {:.4}.\n",
        usual.len(),
        mean(&usual)
    );
    println!("| number | value | what it is | halved | doubled |");
    println!("|---|--:|---|---|---|");
    for number in Tuning::NUMBERS {
        let changed = |factor: f64| match Tuning::DEFAULT.with(number.name, number.value * factor) {
            Ok(tuning) => effect(&usual, &run(&scenarios, options, &tuning)),
            Err(wrong) => format!("not possible: {wrong}"),
        };
        println!(
            "| `{}` | {} {} |{} | {} | {} |",
            number.name,
            number.value,
            number.unit,
            number.why,
            changed(0.5),
            changed(2.0),
        );
    }
    contender::tune(&Tuning::DEFAULT);
    Ok(())
}

fn run(scenarios: &[Scenario], options: &Options, tuning: &Tuning) -> Scores {
    contender::tune(tuning);
    let options = Options {
        contenders: contender::ALL
            .iter()
            .filter(|contender| contender.name == "adaptive")
            .collect(),
        seed: options.seed,
        seeds: options.seeds,
        threads: options.threads,
        quick: true,
        ..Options::default()
    };
    let mut scores = Vec::new();
    for scenario in scenarios {
        let mut points = point::points(scenario, true);
        points.retain(|point| point.arrivals() <= LARGE);
        for row in bench::run_all(&points, &options) {
            scores.push((format!("{}: {}", scenario.name, row.point), row.score));
        }
    }
    scores
}

/// The change of the mean, and the point that loses most, if that is more than noise.
fn effect(usual: &Scores, changed: &Scores) -> String {
    let losses = usual
        .iter()
        .zip(changed)
        .map(|((name, usual), (_, changed))| (name, usual - changed));
    let worst = losses.max_by(|a, b| a.1.total_cmp(&b.1));
    let by = mean(changed) - mean(usual);
    match worst {
        Some((name, loss)) if loss > NOTICED => format!("{by:+.4}; -{loss:.2} `{name}`"),
        _ => format!("{by:+.4}"),
    }
}

fn mean(scores: &Scores) -> f64 {
    scores.iter().map(|(_, score)| score).sum::<f64>() / scores.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUIDE: &str = include_str!("../../../docs/tuning.md");

    #[test]
    fn the_guide_has_a_row_for_each_number_with_its_value() {
        for number in Tuning::NUMBERS {
            let start = format!(
                "| `{}` | {} {} |{} |",
                number.name, number.value, number.unit, number.why
            );
            assert!(GUIDE.contains(&start), "docs/tuning.md lacks: {start}");
        }
        let rows = GUIDE.lines().filter(|line| line.starts_with("| `"));
        assert_eq!(rows.count(), Tuning::NUMBERS.len());
        assert!(
            Tuning::NUMBERS.len() <= 40,
            "more numbers than anyone can tune"
        );
    }

    #[test]
    fn each_number_names_a_scenario_of_the_lab() {
        for number in Tuning::NUMBERS {
            let known = library::BUILT_IN
                .iter()
                .any(|(name, _)| *name == number.scenario);
            assert!(known, "{}: {}", number.name, number.scenario);
        }
    }
}
