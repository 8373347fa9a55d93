//! Mutation tests: `cargo-mutants` changes one expression at a time, and a test of the crate must
//! fail.
//!
//! Not part of CI, since each mutant is a build and a run of the tests.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::run::{cargo, need, root};

/// A mutant that may survive.
struct Survivor {
    file: &'static str,
    mutant: &'static str,
    /// Why no test kills it.
    reason: &'static str,
}

include!("survivors.rs");

/// The share of mutants that must be killed, without accepted survivors.
///
/// The remaining 5 % is for equivalent mutants that are not listed yet.
const BAR: f64 = 0.95;

/// The crates that must reach [`BAR`], since all others depend on them. Other shares are only
/// printed.
const HELD: [&str; 3] = [
    "plimsoll-core",
    "plimsoll-rate-limit",
    "plimsoll-circuit-breaker",
];

/// Code that these tests do not run or check: loom models, helpers of unit tests, and the text of
/// `Debug`.
const LEFT_OUT: [&str; 2] = ["tests(::|\\.rs:)", "impl ((std::)?fmt::)?Debug for"];

/// Runs the mutants of one crate, or with `--changed` those of the lines that differ from `main`.
///
/// Further arguments are passed to cargo-mutants: `--file`, `--shard 0/8`, `--jobs 2`, `--list`.
pub(crate) fn run(mut args: impl Iterator<Item = String>) -> Result<(), String> {
    let usage = "usage: cargo xtask mutants CRATE | --changed [ARGS OF CARGO-MUTANTS]";
    let chosen = args.next().ok_or(usage)?;
    need(
        "cargo",
        &["mutants", "--version"],
        &mut cargo(&["install", "cargo-mutants", "--locked"]),
    )?;
    let output = root().join("target/mutants");
    fs::create_dir_all(&output).map_err(|error| error.to_string())?;
    let mut command = cargo(&["mutants", "--all-features", "--no-shuffle", "--output"]);
    command.arg(&output);
    for pattern in LEFT_OUT {
        command.args(["--exclude-re", pattern]);
    }
    // Performance: debug information is half of the time of each build.
    command.env("CARGO_PROFILE_DEV_DEBUG", "0");
    if chosen == "--changed" {
        command
            .arg("--workspace")
            .arg("--in-diff")
            .arg(changes(&output)?);
    } else {
        command.args(["--package", &chosen]);
    }
    // Documentation examples kill next to nothing, and each is a program to link. As `--cargo-arg`
    // this holds for the build too: after `--`, every target would be built for each mutant.
    command.args(args);
    for arg in ["--lib", "--test", "it"] {
        command.args(["--cargo-arg", arg]);
    }
    let status = command
        .current_dir(root())
        .status()
        .map_err(|error| format!("cargo mutants: {error}"))?;
    // 0: all killed; 2: some missed; 3: some timed out. Others: the tests fail without a mutant, or
    // the tool failed.
    if !matches!(status.code(), Some(0 | 2 | 3)) {
        return Err(format!("cargo mutants: {status}"));
    }
    report(&output.join("mutants.out"))
}

/// Writes the difference of the crates' sources to the branch point off `main`, or on `main` to the
/// previous commit.
fn changes(folder: &Path) -> Result<PathBuf, String> {
    let git = |args: &[&str]| {
        let output = Command::new("git").args(args).current_dir(root()).output();
        let output = output.map_err(|error| format!("git {args:?}: {error}"))?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(format!(
                "git {args:?}: {}",
                String::from_utf8_lossy(&output.stderr)
            ))
        }
    };
    let head = git(&["rev-parse", "HEAD"])?;
    let base = git(&["merge-base", "main", "HEAD"]).unwrap_or_else(|_| head.clone());
    let base = if base == head { "HEAD~" } else { base.trim() };
    // The laboratory is a program with bars instead of tests.
    let (sources, lab) = (
        ":(glob)crates/*/src/**/*.rs",
        ":(exclude)crates/plimsoll-lab",
    );
    let changes = git(&["diff", base, "--", sources, lab])?;
    let file = folder.join("changes.diff");
    fs::write(&file, changes).map_err(|error| error.to_string())?;
    Ok(file)
}

/// The results for the mutants of one crate.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
struct Tally {
    killed: u32,
    survived: u32,
    accepted: u32,
}

impl Tally {
    /// The share of killed mutants among those that count; 1 when there are none.
    fn share(self) -> f64 {
        match self.killed + self.survived {
            0 => 1.0,
            all => f64::from(self.killed) / f64::from(all),
        }
    }
}

/// Prints each crate's share and its survivors, and fails when a crate of [`HELD`] is below the
/// bar.
fn report(folder: &Path) -> Result<(), String> {
    let read = |file: &str| fs::read_to_string(folder.join(file)).unwrap_or_default();
    let killed = read("caught.txt") + &read("timeout.txt");
    let missed = read("missed.txt");
    let tallies = tallies(&killed, &missed, SURVIVORS);
    let mut below = Vec::new();
    for (package, tally) in &tallies {
        println!(
            "{package}: {} killed, {} survived, {} accepted: {:.1} %",
            tally.killed,
            tally.survived,
            tally.accepted,
            100.0 * tally.share()
        );
        if HELD.contains(&package.as_str()) && tally.share() < BAR {
            below.push(package.clone());
        }
    }
    for line in missed.lines() {
        match accepted(line, SURVIVORS) {
            Some(survivor) => println!("  accepted: {line}: {}", survivor.reason),
            None => println!("  survived: {line}"),
        }
    }
    if below.is_empty() {
        Ok(())
    } else {
        Err(format!("less than {:.0} % killed: {below:?}", 100.0 * BAR))
    }
}

/// Counts the lines of cargo-mutants' lists by crate.
fn tallies(killed: &str, missed: &str, survivors: &[Survivor]) -> BTreeMap<String, Tally> {
    let mut tallies = BTreeMap::<String, Tally>::new();
    for line in killed.lines() {
        tallies.entry(package(line)).or_default().killed += 1;
    }
    for line in missed.lines() {
        let tally = tallies.entry(package(line)).or_default();
        if accepted(line, survivors).is_some() {
            tally.accepted += 1;
        } else {
            tally.survived += 1;
        }
    }
    tallies
}

/// The crate of a line: `crates/plimsoll-core/src/lib.rs:1:2: replace ..` belongs to
/// `plimsoll-core`.
fn package(line: &str) -> String {
    line.split('/').nth(1).unwrap_or(line).to_owned()
}

/// The list's entry for a line `file:line:column: mutant`.
fn accepted<'a>(line: &str, survivors: &'a [Survivor]) -> Option<&'a Survivor> {
    let (place, mutant) = line.split_once(": ")?;
    let file = place.split(':').next()?;
    survivors
        .iter()
        .find(|survivor| survivor.file == file && survivor.mutant == mutant)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KILLED: &str = "crates/a/src/x.rs:1:1: replace + with - in f\n";
    const MISSED: &str =
        "crates/a/src/x.rs:9:1: replace < with <= in g\ncrates/b/src/y.rs:2:3: replace h with ()\n";

    #[test]
    fn killed_and_survived_are_counted_by_crate() {
        let tallies = tallies(KILLED, MISSED, &[]);
        assert_eq!((tallies["a"].killed, tallies["a"].survived), (1, 1));
        assert!((tallies["a"].share() - 0.5).abs() < 1e-9);
        assert!((tallies["b"].share() - 0.0).abs() < 1e-9);
    }

    #[test]
    fn an_accepted_survivor_is_not_counted_and_matches_on_any_line() {
        let list = [Survivor {
            file: "crates/a/src/x.rs",
            mutant: "replace < with <= in g",
            reason: "equal loads are equal",
        }];
        for line in [9, 10] {
            let missed = MISSED.replace(":9:", &format!(":{line}:"));
            let tallies = tallies(KILLED, &missed, &list);
            assert_eq!((tallies["a"].accepted, tallies["a"].survived), (1, 0));
            assert!((tallies["a"].share() - 1.0).abs() < 1e-9);
            assert_eq!(
                tallies["b"].survived, 1,
                "an equal mutant in another file is not accepted"
            );
        }
    }

    #[test]
    fn every_accepted_survivor_has_a_reason_and_a_file() {
        for survivor in SURVIVORS {
            assert!(root().join(survivor.file).exists(), "{}", survivor.file);
            assert!(!survivor.reason.is_empty() && !survivor.mutant.is_empty());
        }
    }
}
