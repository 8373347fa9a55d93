//! Breaks each law on purpose, one line at a time, and checks that the law's test fails.
//!
//! It shows that the test can fail. Each breach is a small, plausible mistake.

use std::{fs, path::Path, process::Command};

use crate::run::{cargo, root};

/// A mistake, and the test that must fail with it.
struct Breach {
    law: &'static str,
    /// The mistake.
    what: &'static str,
    file: &'static str,
    find: &'static str,
    replace: &'static str,
    package: &'static str,
    test: &'static str,
}

include!("breaches.rs");

/// Runs all breaches, or those of one law, such as `07`, or of one package.
pub(crate) fn all(of: Option<&str>) -> Result<(), String> {
    let copy = root().join("target/broken/tree");
    let chosen = BREACHES
        .iter()
        .filter(|breach| of.is_none_or(|of| breach.law == of || breach.package == of));
    let (mut caught, mut missed) = (0, Vec::new());
    for breach in chosen {
        refresh(&copy)?;
        apply(breach, &copy)?;
        let verdict = if passes(breach, &copy)? {
            "NOT CAUGHT"
        } else {
            "caught"
        };
        println!(
            "law {:>2} {verdict:>11}: {} ({})",
            breach.law, breach.what, breach.test
        );
        if verdict == "caught" {
            caught += 1;
        } else {
            missed.push(breach.what);
        }
    }
    println!("{caught} breaches caught, {} missed", missed.len());
    if caught == 0 && missed.is_empty() {
        return Err(format!("no breach has the law or package {of:?}"));
    }
    if missed.is_empty() {
        Ok(())
    } else {
        Err(format!("no test failed for: {missed:?}"))
    }
}

/// Makes the copy equal to the working tree. Unchanged files keep their time, so that cargo does
/// not rebuild them.
fn refresh(copy: &Path) -> Result<(), String> {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .map_err(|error| format!("git ls-files: {error}"))?;
    for file in String::from_utf8_lossy(&listed.stdout).lines() {
        let (from, to) = (root().join(file), copy.join(file));
        let Ok(wanted) = fs::read(&from) else {
            continue;
        };
        if fs::read(&to).is_ok_and(|present| present == wanted) {
            continue;
        }
        let folder = to.parent().ok_or("a file has a folder")?;
        fs::create_dir_all(folder)
            .and_then(|()| fs::write(&to, wanted))
            .map_err(|e| e.to_string())?;
    }
    Ok(())
}

fn apply(breach: &Breach, copy: &Path) -> Result<(), String> {
    let path = copy.join(breach.file);
    let source = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", breach.file))?;
    if source.matches(breach.find).count() != 1 {
        return Err(format!(
            "{}: not found exactly once: {:?}",
            breach.file, breach.find
        ));
    }
    fs::write(&path, source.replace(breach.find, breach.replace)).map_err(|error| error.to_string())
}

/// Whether the law's test still passes. A breach that does not compile is an error.
fn passes(breach: &Breach, copy: &Path) -> Result<bool, String> {
    let test = |extra: &[&str]| {
        let mut command = cargo(&[
            "test",
            "--quiet",
            "--package",
            breach.package,
            "--all-features",
            "--lib",
            "--test",
            "it",
        ]);
        command
            .args(extra)
            .current_dir(copy)
            .env("CARGO_TARGET_DIR", root().join("target/broken/build"))
            // rustc's incremental cache has failed with sources that changed twice within a
            // second.
            .env("CARGO_INCREMENTAL", "0");
        command.output().map_err(|error| error.to_string())
    };
    let built = test(&["--no-run"])?;
    if !built.status.success() {
        return Err(format!(
            "{}: {}",
            breach.what,
            String::from_utf8_lossy(&built.stderr)
        ));
    }
    let run = test(&["--", breach.test])?;
    let printed = String::from_utf8_lossy(&run.stdout);
    if !printed
        .lines()
        .any(|line| line.starts_with("running ") && !line.starts_with("running 0 "))
    {
        return Err(format!("there is no test {}", breach.test));
    }
    Ok(run.status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The breaches themselves are run by hand, so a line that has moved shows here.
    #[test]
    fn each_line_to_break_is_found_exactly_once() {
        for breach in BREACHES {
            let text = fs::read_to_string(root().join(breach.file)).unwrap_or_default();
            let found = text.matches(breach.find).count();
            assert_eq!(found, 1, "{}: {:?}", breach.file, breach.find);
        }
    }
}
