//! The CI steps as local commands: `cargo xtask ci`.
//!
//! ```text
//! cargo xtask test        all tests, doctests and loom models
//! cargo xtask ci          all checks of CI, with the time of each step
//! cargo xtask absences    checks what `ARCHITECTURE.md` says is absent from the published crates
//! cargo xtask circles     checks that two files never import each other
//! cargo xtask links       checks the links of the Markdown files into the repository
//! cargo xtask snippets    compiles each Rust block of the Markdown files as displayed
//! cargo xtask docs        builds the documentation as docs.rs does
//! cargo xtask msrv        checks dependencies, syntax and the build with the oldest Rust version
//! cargo xtask api         compares the public API with `docs/api/`; `--write` replaces the snapshots
//! cargo xtask features    checks each feature of each crate
//! cargo xtask hello       what two layers add to the build of an axum server
//! cargo xtask lab         the short form of the laboratory, with the bars of the adaptive limit
//! cargo xtask instructions  instructions of the accept paths, against limits (needs valgrind)
//! cargo xtask package     checks that every crate can be published
//! cargo xtask prose       phrases that are not plain English, against `xtask/prose.txt`
//! cargo xtask deny        licences, duplicate and banned dependencies (needs cargo-deny)
//! cargo xtask semver      changes of the API that break users (installs cargo-semver-checks)
//! cargo xtask break-laws  breaks each law on purpose, and checks that its test fails (not in CI)
//! cargo xtask mutants     mutation tests of a crate or of a change (needs cargo-mutants; not in CI)
//! ```
// The output of this tool is its result.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod absences;
mod api;
mod break_laws;
mod ci;
mod circles;
mod docs;
mod features;
mod hello;
mod links;
mod msrv;
mod mutants;
mod prose;
mod run;
mod rust;
mod semver;
mod snippets;
mod tools;
mod workspace;

use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(code) = docs::as_rustdoc() {
        return code;
    }
    let command = std::env::args().nth(1).unwrap_or_default();
    let argument = std::env::args().nth(2);
    let argument = argument.as_deref();
    let result = match command.as_str() {
        "test" => ci::test(),
        "ci" => ci::ci(),
        "absences" => absences::check(),
        "api" => api::run(argument),
        "circles" => circles::check(),
        "docs" => docs::check(),
        "features" => features::check(),
        "hello" => hello::check(),
        "links" => links::check(),
        "msrv" => msrv::check(),
        "snippets" => snippets::check(),
        "lab" => ci::lab(),
        "instructions" => ci::instructions(),
        "package" => ci::package(),
        "deny" => ci::deny(),
        "prose" => prose::run(argument),
        "mutants" => mutants::run(std::env::args().skip(2)),
        "break-laws" => break_laws::all(argument),
        "semver" => semver::run(argument),
        _ => Err(
            "usage: cargo xtask absences | api [--write] | break-laws [LAW | CRATE] | ci | circles | deny | docs | features | hello | instructions | lab | links | msrv | mutants CRATE | package | prose [--write | NAME] | semver [REVISION] | snippets | test".to_owned(),
        ),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
