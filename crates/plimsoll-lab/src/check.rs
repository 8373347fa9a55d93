//! The bars of `--check` for the adaptive limit.
#![allow(clippy::print_stdout)]

use crate::{score::Row, table};

/// The contender that must reach the bars.
const WHO: &str = "adaptive";

/// The figure of a bar.
#[derive(Clone, Copy)]
enum Measure {
    /// The score is at least this.
    Score(f64),
    /// Goodput over that of the bare server is at least this.
    OfBare(f64),
    /// The score is at most this below the best contender's.
    BelowBest(f64),
    /// Recovery takes at most this many seconds.
    Recovery(f64),
    /// The 99th percentile of latency is at most this many deadlines.
    Deadline(f64),
}

/// A bar for scenarios and points whose names contain these texts, at loads in this range.
struct Bar {
    scenario: &'static str,
    point: &'static str,
    loads: (f64, f64),
    measure: Measure,
    /// Whether a miss fails the run; otherwise it is only printed.
    asserted: bool,
}

const fn bar(
    scenario: &'static str,
    point: &'static str,
    loads: (f64, f64),
    measure: Measure,
) -> Bar {
    Bar {
        scenario,
        point,
        loads,
        measure,
        asserted: true,
    }
}

const fn goal(
    scenario: &'static str,
    point: &'static str,
    loads: (f64, f64),
    measure: Measure,
) -> Bar {
    Bar {
        asserted: false,
        ..bar(scenario, point, loads, measure)
    }
}

const ANY: (f64, f64) = (0.0, f64::INFINITY);
const OVERLOAD: (f64, f64) = (2.0, f64::INFINITY);
const FULL: (f64, f64) = (0.89, 0.91);

use Measure::{BelowBest, Deadline, OfBare, Recovery, Score};

/// The scenario in which answers may be late: while its machine is slow, the limit is that of a fast
/// one.
const LATE: &str = "noisy-machine";

const BARS: &[Bar] = &[
    bar("load-curve", "", OVERLOAD, Score(0.985)),
    bar("sizes", "", OVERLOAD, Score(0.985)),
    bar("laws", "", OVERLOAD, Score(0.985)),
    bar("grid", "", OVERLOAD, Score(0.985)),
    bar("bimodal", "", OVERLOAD, Score(0.985)),
    bar("load-curve", "", FULL, OfBare(0.99)),
    bar("sizes", "", FULL, OfBare(0.99)),
    bar("laws", "", FULL, OfBare(0.99)),
    bar("grid", "", FULL, OfBare(0.99)),
    bar("bimodal", "", FULL, OfBare(0.99)),
    bar("", "", ANY, Deadline(1.0)),
    goal(LATE, "", ANY, Deadline(1.0)),
    goal("", "", ANY, Score(0.95)),
    goal("", "", ANY, BelowBest(0.01)),
    bar("step", "", ANY, Recovery(1.0)),
    bar("capacity-halves", "", ANY, Recovery(1.0)),
    bar("slows-down", "", ANY, Recovery(1.0)),
    bar("metastable", "", ANY, Recovery(1.0)),
    bar("priority", "", (12.0, 12.0), Score(0.995)),
    bar("important-bursts", "", ANY, Score(0.8)),
    bar("tasks", "k=4", ANY, Score(0.9)),
    bar("usl", "", ANY, Score(0.97)),
    bar("cold-start", "", ANY, Score(0.92)),
    bar("noisy-machine", "", ANY, Score(0.85)),
    bar("after-idle", "", ANY, Score(0.96)),
    bar("rare-long-calls", "", ANY, Score(0.96)),
    bar("short-deadlines", "", ANY, Score(0.93)),
    bar("leavers", "", OVERLOAD, Score(0.88)),
];

/// Mean score of the random scenarios. Some of them are hard for every contender, so that no bar
/// holds for each.
const RANDOM_MEAN: f64 = 0.96;

/// Prints the mean of the random scenarios. Returns whether it is below the bar.
pub(crate) fn check_random(rows: &[Row]) -> bool {
    let scores: Vec<f64> = rows.iter().map(|row| row.score).collect();
    let mean = scores.iter().sum::<f64>() / scores.len().max(1) as f64;
    let worst = scores.iter().copied().fold(f64::INFINITY, f64::min);
    println!(
        "\nrandom scenarios: {} points, mean {mean:.4}, worst {worst:.3}; bar {RANDOM_MEAN}",
        scores.len()
    );
    mean < RANDOM_MEAN
}

/// How many times as many answers a breaker gets after an outage with its ramp as without it, at least.
/// Seeds 1 to 3 give 5 to 37 times as many.
const RAMP: f64 = 3.0;

/// Prints what the ramp of a breaker does after an outage. Returns whether it is below the bar.
pub(crate) fn check_ramp(rows: &[Row]) -> bool {
    let score = |who: &str| {
        let mut rows = rows.iter();
        rows.find(|row| row.contender == who)
            .map_or(0.0, |row| row.score)
    };
    let (with, without) = (score("breaker"), score("breaker-no-ramp"));
    println!(
        "\noutage: score with the breaker's ramp {with:.3}, without {without:.3}; bar {RAMP} times"
    );
    with < without * RAMP
}

/// Tolerance of bars in short runs, whose figures vary by chance.
const CHANCE: f64 = 0.015;

/// Prints the bars and goals that were missed. Returns the number of missed bars; in a `short` run,
/// of those missed by more than the tolerance.
pub(crate) fn check(rows: &[Row], short: bool) -> usize {
    let mut missed = 0;
    println!("\n## Bars\n");
    for row in rows.iter().filter(|row| row.contender == WHO) {
        for bar in BARS {
            let may_be_late = bar.scenario.is_empty()
                && matches!(bar.measure, Deadline(_))
                && row.scenario == LATE;
            let here = !may_be_late
                && row.scenario.contains(bar.scenario)
                && row.point.contains(bar.point)
                && (bar.loads.0..=bar.loads.1).contains(&row.load);
            if here && let Some(wrong) = bar.measure.missed(row, rows) {
                let lowered = if short {
                    bar.measure.lowered()
                } else {
                    bar.measure
                };
                let fails = bar.asserted && lowered.missed(row, rows).is_some();
                missed += usize::from(fails);
                let what = match bar.asserted {
                    true if fails => "bar",
                    true => "bar, within the tolerance of a short run,",
                    false => "goal",
                };
                println!("{what} missed: {}: {}: {wrong}", row.scenario, row.point);
            }
        }
    }
    println!("{missed} bars missed");
    missed
}

impl Measure {
    /// The bar for a short run.
    fn lowered(self) -> Self {
        match self {
            Score(bar) => Score(bar - CHANCE),
            OfBare(bar) => OfBare(bar - CHANCE),
            BelowBest(bar) => BelowBest(bar + CHANCE),
            Recovery(bar) => Recovery(bar * 1.5),
            Deadline(times) => Deadline(times * 1.1),
        }
    }

    /// A description of the miss, if the bar is missed.
    fn missed(self, row: &Row, rows: &[Row]) -> Option<String> {
        match self {
            Score(bar) => (row.score < bar).then(|| format!("score {:.4}, bar {bar}", row.score)),
            OfBare(bar) => table::of_bare(row, rows)
                .filter(|part| *part < bar)
                .map(|part| format!("{part:.4} of the bare server's goodput, bar {bar}")),
            BelowBest(bar) => {
                let rivals = rows.iter().filter(|rival| table::same_point(row, rival));
                rivals
                    .max_by(|a, b| a.score.total_cmp(&b.score))
                    .filter(|best| row.score < best.score - bar)
                    .map(|best| {
                        format!(
                            "score {:.4}, {} {:.4}",
                            row.score, best.contender, best.score
                        )
                    })
            }
            Recovery(bar) => row
                .recover_s
                .filter(|seconds| *seconds > bar)
                .map(|seconds| format!("recovered after {seconds:.1} s, bar {bar}")),
            Deadline(times) => row
                .p99_ms
                .filter(|p99| *p99 > row.deadline_ms * times)
                .map(|p99| format!("p99 {p99:.1} ms, the deadline is {:.1} ms", row.deadline_ms)),
        }
    }
}
