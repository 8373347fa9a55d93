//! The CI steps as local commands: `cargo xtask ci`.
//!
//! ```text
//! cargo xtask test        all tests, doctests and loom models
//! cargo xtask ci          all checks of CI: format, prose, clippy, docs, links, tests, lab, packages
//! cargo xtask absences    checks what `ARCHITECTURE.md` says is absent from the published crates
//! cargo xtask links       checks the links of the Markdown files into the repository
//! cargo xtask snippets    compiles each Rust block of the Markdown files as displayed
//! cargo xtask lab         the short form of the laboratory, with the bars of the adaptive limit
//! cargo xtask package     checks that every crate can be published
//! cargo xtask break-laws  breaks each law on purpose, and checks that its test fails
//! cargo xtask mutants     mutation tests of a crate or of a change (needs cargo-mutants)
//! cargo xtask prose       phrases that are not plain English, against `xtask/prose.txt`
//! cargo xtask deny        licences, duplicate and banned dependencies (needs cargo-deny)
//! ```
// The output of this tool is its result.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod absences;
mod break_laws;
mod ci;
mod links;
mod mutants;
mod prose;
mod run;
mod snippets;
mod tools;

use std::process::ExitCode;

fn main() -> ExitCode {
    let command = std::env::args().nth(1).unwrap_or_default();
    let result = match command.as_str() {
        "test" => ci::test(),
        "ci" => ci::ci(),
        "absences" => absences::check(),
        "links" => links::check(),
        "snippets" => snippets::check(),
        "lab" => ci::lab(),
        "package" => ci::package(),
        "deny" => ci::deny(),
        "prose" => prose::run(std::env::args().nth(2).as_deref()),
        "mutants" => mutants::run(std::env::args().skip(2)),
        "break-laws" => break_laws::all(std::env::args().nth(2).as_deref()),
        _ => Err(
            "usage: cargo xtask test | ci | absences | links | snippets | lab | package | break-laws [LAW] | mutants CRATE | prose [--write | NAME] | deny".to_owned(),
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
