//! `cargo xtask msrv`: the published crates build with the Rust version that they state.
//!
//! Three checks need no other toolchain: no dependency states a newer version, no file uses syntax
//! that is newer ([`syntax`]), and clippy rejects newer functions of the standard library
//! (`incompatible_msrv`, in the step `clippy`). Where the toolchain itself is installed, it also
//! checks the crates; it alone finds a newer `const fn` or coercion.

mod syntax;

use std::process::Command;

use crate::{
    run::{output, root, step},
    workspace::{Package, Workspace, dependencies},
};

/// Features whose dependencies need a newer Rust than the crate itself: the beginning of their
/// names, and the version.
const NEWER: [(&str, &str); 4] = [
    ("client-reqwest", "1.88"),
    ("redis", "1.88"),
    ("reqwest", "1.88"),
    ("tonic", "1.88"),
];

/// Runs all checks.
pub(crate) fn check() -> Result<(), String> {
    let workspace = Workspace::read()?;
    let mut faults = Vec::new();
    for package in &workspace.published {
        let old: Vec<&str> = package.features.iter().map(String::as_str).collect();
        let (newer, old): (Vec<_>, Vec<_>) = old.into_iter().partition(|of| needs(of).is_some());
        newer_dependencies(&workspace, package, &old, &package.rust, &mut faults)?;
        for feature in newer {
            let rust = needs(feature).unwrap_or(&package.rust);
            newer_dependencies(&workspace, package, &[feature], rust, &mut faults)?;
        }
        faults.extend(syntax::faults(&package.name, version(&package.rust))?);
    }
    if !faults.is_empty() {
        return Err(format!("newer than `rust-version`:\n{}", faults.join("\n")));
    }
    println!(
        "==> msrv: dependencies and syntax of {} crates",
        workspace.published.len()
    );
    build(&workspace)
}

/// The version that a feature needs, when it is newer than its crate's.
fn needs(feature: &str) -> Option<&'static str> {
    let newer = NEWER.iter().find(|(start, _)| feature.starts_with(start));
    newer.map(|(_, rust)| *rust)
}

fn newer_dependencies(
    workspace: &Workspace,
    package: &Package,
    features: &[&str],
    rust: &str,
    faults: &mut Vec<String>,
) -> Result<(), String> {
    for dependency in dependencies(&package.name, features)? {
        let stated = workspace.rust.get(&dependency).map_or("", |rust| rust);
        if version(stated) > version(rust) {
            let name = &package.name;
            let features = features.join(",");
            faults.push(format!(
                "{name} ({rust}) with [{features}]: {dependency} needs {stated}"
            ));
        }
    }
    Ok(())
}

/// `1.85.1` as `(1, 85)`; `(0, 0)` when no version is stated.
fn version(text: &str) -> (u32, u32) {
    let mut parts = text.split('.').map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

/// Checks the crates with the toolchain of their version, if rustup has it.
fn build(workspace: &Workspace) -> Result<(), String> {
    let installed = output(Command::new("rustup").args(["toolchain", "list"])).unwrap_or_default();
    let mut versions: Vec<&str> = workspace.published.iter().map(|of| &*of.rust).collect();
    versions.sort_unstable();
    versions.dedup();
    for rust in versions {
        if !installed
            .lines()
            .any(|line| line.starts_with(&format!("{rust}-")))
        {
            println!(
                "==> msrv: no toolchain {rust} here (`rustup toolchain install {rust}`): not built with it"
            );
            continue;
        }
        let mut check = Command::new("rustup");
        check.args(["run", rust, "cargo", "check", "--quiet", "--locked"]);
        let of_version = workspace.published.iter().filter(|of| of.rust == rust);
        for package in of_version {
            check.args(["--package", &package.name]);
            for feature in package.features.iter().filter(|of| needs(of).is_none()) {
                check.args(["--features", &format!("{}/{feature}", package.name)]);
            }
        }
        // Not the folder of this toolchain: each would rebuild what the other has built.
        check.env("CARGO_TARGET_DIR", root().join("target/msrv"));
        step(&format!("build with Rust {rust}"), &mut check)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers_and_none_is_older_than_all() {
        assert!(version("1.100") > version("1.85.1"));
        assert_eq!(version("1.85.0"), version("1.85"));
        assert!(version("") < version("1.0"));
    }

    #[test]
    fn a_dependency_that_needs_a_newer_rust_is_a_fault() {
        let workspace = Workspace::read().unwrap();
        let core = workspace
            .published
            .iter()
            .find(|of| of.name == "plimsoll-core");
        let mut faults = Vec::new();
        newer_dependencies(&workspace, core.unwrap(), &[], "1.70", &mut faults).unwrap();
        assert!(
            faults.iter().any(|fault| fault.contains(": tokio ")),
            "{faults:?}"
        );
    }
}
