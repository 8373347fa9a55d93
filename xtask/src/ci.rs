//! The steps of CI.

use std::process::Command;

use crate::run::{cargo, need, root, step};

/// Crates with loom models of their atomics: unit tests under `cfg(loom)`.
const LOOM: [&str; 5] = [
    "plimsoll-circuit-breaker",
    "plimsoll-concurrency",
    "plimsoll-core",
    "plimsoll-load-shed",
    "plimsoll-rate-limit",
];

/// All tests: unit, integration (real sockets included), doctests, and the loom models.
pub(crate) fn test() -> Result<(), String> {
    // The only server that cargo does not build. root can install it; other users get the
    // instruction.
    need(
        "redis-server",
        &["--version"],
        Command::new("apt-get").args([
            "install",
            "--yes",
            "--no-install-recommends",
            "redis-server",
        ]),
    )?;
    step(
        "tests",
        &mut cargo(&["test", "--workspace", "--all-features", "--quiet"]),
    )?;
    let mut models = cargo(&["test", "--release", "--quiet", "--lib"]);
    models.args(LOOM.iter().flat_map(|package| ["--package", package]));
    models
        .env("RUSTFLAGS", "--cfg loom")
        .env("CARGO_TARGET_DIR", "target/loom");
    step("loom models", &mut models)?;
    Ok(())
}

/// All steps that must pass before a change is merged.
pub(crate) fn ci() -> Result<(), String> {
    step("format", &mut cargo(&["fmt", "--all", "--check"]))?;
    crate::prose::run(None)?;
    step(
        "clippy",
        &mut cargo(&[
            "clippy",
            "--workspace",
            "--all-targets",
            "--all-features",
            "--quiet",
            "--",
            "--deny",
            "warnings",
        ]),
    )?;
    let mut docs = cargo(&[
        "doc",
        "--workspace",
        "--all-features",
        "--no-deps",
        "--quiet",
    ]);
    step("docs", docs.env("RUSTDOCFLAGS", "--deny warnings"))?;
    crate::absences::check()?;
    crate::links::check()?;
    crate::snippets::check()?;
    deny()?;
    test()?;
    lab()?;
    need(
        "cargo",
        &["hack", "--version"],
        &mut cargo(&["install", "cargo-hack", "--locked"]),
    )?;
    step(
        "feature powerset of the facade",
        &mut cargo(&[
            "hack",
            "check",
            "--quiet",
            "--package",
            "plimsoll",
            "--feature-powerset",
            "--no-dev-deps",
            "--exclude-features",
            "default,full,redis-cluster,redis-sentinel,redis-tls",
            "--depth",
            "2",
        ]),
    )?;
    package()?;
    println!("==> all steps passed");
    Ok(())
}

/// The short form of the laboratory, which fails when the adaptive limit misses a bar.
pub(crate) fn lab() -> Result<(), String> {
    step(
        "lab",
        &mut cargo(&[
            "run",
            "--release",
            "--quiet",
            "--package",
            "plimsoll-lab",
            "--",
            "run",
            "all",
            "--quick",
            "--contender",
            "adaptive",
            "--contender",
            "none",
            "--check",
        ]),
    )
}

/// Checks that every crate can be published, each built from its package alone.
///
/// Each run uses a new folder: cargo unpacks packages into a registry named after the folder, and
/// does not unpack a version again that exists there.
pub(crate) fn package() -> Result<(), String> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let moment = now.map_or(0, |since| since.as_millis());
    let folder = root().join(format!("target/package-check-{moment}"));
    let mut package = cargo(&["package", "--workspace", "--allow-dirty", "--quiet"]);
    for unpublished in [
        "adserver",
        "benches",
        "greeter",
        "plimsoll-lab",
        "redis-fleet",
        "stacks",
        "xtask",
    ] {
        package.args(["--exclude", unpublished]);
    }
    let checked = step("package check", package.env("CARGO_TARGET_DIR", &folder));
    _ = std::fs::remove_dir_all(folder);
    checked
}

/// Licences, sources, banned and duplicate dependencies, as in `deny.toml`. Needs no advisory
/// database.
pub(crate) fn deny() -> Result<(), String> {
    let mut deny = Command::new(crate::tools::cargo_deny()?);
    // Duplicates are warnings, and each would print the tree of its dependents.
    deny.args([
        "--log-level",
        "error",
        "check",
        "bans",
        "licenses",
        "sources",
    ]);
    step("deny", &mut deny)
}
