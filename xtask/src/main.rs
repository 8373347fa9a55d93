//! The whole CI in one local command: `cargo xtask ci`.
//!
//! ```text
//! cargo xtask test        all tests, doctests and loom models
//! cargo xtask ci          format, clippy, docs, absences, links, snippets, deny, test, lab, feature powerset, package check
//! cargo xtask absences    checks what `ARCHITECTURE.md` says is absent from the published crates
//! cargo xtask links       checks the links of the Markdown files into the repository
//! cargo xtask snippets    compiles each Rust block of the Markdown files as displayed
//! cargo xtask lab         the short form of the laboratory, with the bars for the adaptive limit
//! cargo xtask package     whether every crate would publish
//! cargo xtask break-laws  breaks each law on purpose, and checks that its test notices
//! cargo xtask mutants     mutation tests of a crate, or of what a change touches (needs cargo-mutants)
//! cargo xtask deny        licences, duplicate and banned dependencies (needs cargo-deny)
//! ```
// A tool's output is its purpose.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod absences;
mod break_laws;
mod ci;
mod links;
mod mutants;
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
        "mutants" => mutants::run(std::env::args().skip(2)),
        "break-laws" => break_laws::all(std::env::args().nth(2).as_deref()),
        _ => Err(
            "usage: cargo xtask test | ci | absences | links | snippets | lab | package | break-laws [LAW] | mutants CRATE | deny".to_owned(),
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
