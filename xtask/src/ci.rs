//! The steps of CI.

use std::process::Command;

use crate::run::{cargo, need, root, step, timed};

/// Crates with loom models of their atomics: unit tests under `cfg(loom)`.
const LOOM: [&str; 7] = [
    "plimsoll-circuit-breaker",
    "plimsoll-client",
    "plimsoll-concurrency",
    "plimsoll-core",
    "plimsoll-load-shed",
    "plimsoll-rate-limit",
    "plimsoll-stream",
];

/// All tests: unit, integration (real sockets included), doctests, and the loom models.
pub(crate) fn test() -> Result<(), String> {
    // Programs that cargo does not build. root can install them; other users get the instruction.
    for (program, version, package) in [
        ("redis-server", "--version", "redis-server"),
        ("nginx", "-v", "nginx-light"),
        ("haproxy", "-v", "haproxy"),
        ("ip", "-V", "iproute2"),
        ("chromium", "--version", "chromium"),
        ("curl", "--version", "curl"),
        ("npm", "--version", "npm"),
        ("promtool", "--version", "prometheus"),
        ("python3", "--version", "python3-pip"),
    ] {
        need(
            program,
            &[version],
            Command::new("apt-get").args(["install", "--yes", "--no-install-recommends", package]),
        )?;
    }
    clients()?;
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

/// gRPC clients that others wrote, for `proofs`: packages of Python and Node.js, in `target/clients`.
fn clients() -> Result<(), String> {
    let folder = root().join("target/clients");
    if !folder.join("python/grpc").exists() {
        let mut pip = Command::new("python3");
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ])
        .arg("--target")
        .arg(folder.join("python"))
        .arg("grpcio==1.85.3");
        step("grpcio", &mut pip)?;
    }
    if !folder.join("node/node_modules/@grpc/grpc-js").exists() {
        let mut npm = Command::new("npm");
        npm.args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"])
            .arg(folder.join("node"))
            .arg("@grpc/grpc-js@1.14.7");
        step("grpc-js", &mut npm)?;
    }
    Ok(())
}

/// All steps that must pass before a change is merged. Prints the time of each.
pub(crate) fn ci() -> Result<(), String> {
    let result = steps();
    crate::run::print_times();
    result?;
    println!("==> all steps passed");
    Ok(())
}

/// Quick steps first, so that a small mistake is found early.
fn steps() -> Result<(), String> {
    step("format", &mut cargo(&["fmt", "--all", "--check"]))?;
    timed("prose", || crate::prose::run(None))?;
    timed("absences", crate::absences::check)?;
    timed("circles", crate::circles::check)?;
    timed("links", crate::links::check)?;
    deny()?;
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
    crate::docs::check()?;
    crate::api::run(None)?;
    crate::semver::since_release()?;
    crate::msrv::check()?;
    crate::snippets::check()?;
    crate::features::check()?;
    timed("hello", crate::hello::check)?;
    test()?;
    lab()?;
    instructions()?;
    package()
}

/// Instructions of the accept paths, against the limits in `benches/src/held.rs`.
pub(crate) fn instructions() -> Result<(), String> {
    need(
        "valgrind",
        &["--version"],
        Command::new("apt-get").args(["install", "--yes", "--no-install-recommends", "valgrind"]),
    )?;
    step(
        "instructions",
        &mut cargo(&[
            "run",
            "--release",
            "--quiet",
            "--package",
            "benches",
            "--bin",
            "instructions",
            "--",
            "--check",
        ]),
    )
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
    let mut package = cargo(&["package", "--allow-dirty", "--quiet"]);
    package.args(crate::workspace::Workspace::read()?.arguments());
    let checked = step("package check", package.env("CARGO_TARGET_DIR", &folder));
    _ = std::fs::remove_dir_all(folder);
    checked
}

/// Licences, sources, banned and duplicate dependencies, as in `deny.toml`. Needs no advisory
/// database.
pub(crate) fn deny() -> Result<(), String> {
    let mut deny = crate::tools::DENY.command()?;
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
