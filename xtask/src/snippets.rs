//! Compiles each Rust block of the Markdown files as displayed.
//!
//! rustdoc compiles more than a page shows: lines that begin with `# ` are part of a doctest and are not displayed, so a
//! pasted block may not compile. Here each block becomes a module of one generated crate, which `cargo check` compiles with
//! warnings as errors.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use crate::run::{cargo, root, step};

/// Folders with Markdown files, besides the root: each with its direct children, or its own files.
const FOLDERS: [&str; 2] = ["docs", "benches"];
const PARENTS: [&str; 2] = ["crates", "examples"];

/// Dependencies of the blocks, all of them from the workspace's table.
const DEPENDENCIES: &str = r#"axum = { workspace = true, features = ["http1", "http2", "json", "matched-path", "tokio"] }
bytes.workspace = true
http.workspace = true
http-body-util.workspace = true
hyper-util = { workspace = true, features = ["client-legacy", "http1", "tokio"] }
plimsoll = { workspace = true, features = [
    "axum", "call-scope", "client-reqwest", "dashboard", "executor-delay", "full", "load", "redis-cluster", "redis-sentinel", "stream-listener",
    "throttle", "tonic", "websocket",
] }
plimsoll-circuit-breaker.workspace = true
plimsoll-client = { workspace = true, features = ["call-scope"] }
plimsoll-concurrency = { workspace = true, features = ["axum"] }
plimsoll-core = { workspace = true, features = ["axum", "test-kit", "tonic"] }
plimsoll-dashboard.workspace = true
plimsoll-fallback.workspace = true
plimsoll-load-shed = { workspace = true, features = ["executor-delay"] }
plimsoll-metrics.workspace = true
plimsoll-rate-limit.workspace = true
plimsoll-redis.workspace = true
plimsoll-sampling.workspace = true
plimsoll-stream = { workspace = true, features = ["axum", "listener", "websocket"] }
reqwest.workspace = true
tokio = { workspace = true, features = ["full", "test-util"] }
tower = { workspace = true, features = ["buffer", "limit", "load-shed", "timeout", "util"] }
tower-http = { workspace = true, features = ["timeout"] }
"#;

/// A block of Rust.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// The number of its first line in the file.
    line: usize,
    pub(crate) code: String,
}

/// Compiles all blocks, in one crate under `target/`.
pub(crate) fn check() -> Result<(), String> {
    let root = root();
    let mut modules = Vec::new();
    let mut faults = Vec::new();
    for file in markdown(&root)? {
        let text = read(&file)?;
        let shown = file.strip_prefix(&root).unwrap_or(&file).display();
        let name = identifier(&shown.to_string());
        for block in blocks(&text) {
            let at = |line: usize| format!("{shown}:{}", block.line + line);
            faults.extend(
                faults_of(&block.code).map(|(line, fault)| format!("{}: {fault}", at(line))),
            );
            modules.push((format!("{name}_line_{}", block.line), block.code));
        }
    }
    if !faults.is_empty() {
        return Err(format!("blocks that do not paste:\n{}", faults.join("\n")));
    }
    if modules.is_empty() {
        return Err("no Rust block found in any Markdown file".to_owned());
    }
    let folder = root.join("target/snippets");
    write_crate(&root, &folder, &modules)?;
    let mut check = cargo(&["check", "--quiet", "--manifest-path"]);
    check.arg(folder.join("Cargo.toml"));
    if std::env::var_os("CARGO_TARGET_DIR").is_none() {
        check.env("CARGO_TARGET_DIR", root.join("target"));
    }
    step(
        &format!("{} blocks of Markdown, as displayed", modules.len()),
        &mut check,
    )
}

/// All Markdown files that readers see.
pub(crate) fn markdown(root: &Path) -> Result<Vec<PathBuf>, String> {
    let mut folders = vec![root.to_owned()];
    folders.extend(FOLDERS.map(|folder| root.join(folder)));
    for parent in PARENTS {
        folders.extend(
            entries(&root.join(parent))?
                .into_iter()
                .filter(|path| path.is_dir()),
        );
    }
    let mut files = Vec::new();
    for folder in folders {
        let markdown = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "md");
        files.extend(entries(&folder)?.into_iter().filter(markdown));
    }
    Ok(files)
}

/// The blocks of a Markdown file whose language is Rust, with any rustdoc flags.
pub(crate) fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<(bool, Block)> = None;
    for (number, line) in (1..).zip(text.lines()) {
        match (&mut open, line.trim_start().strip_prefix("```")) {
            (None, Some(language)) => {
                let rust = language.split(',').next() == Some("rust");
                open = Some((
                    rust,
                    Block {
                        line: number + 1,
                        code: String::new(),
                    },
                ));
            }
            (None, None) => {}
            (Some((_, block)), None) => block.code.extend([line, "\n"]),
            (Some(_), Some(_)) => blocks.extend(
                open.take()
                    .filter(|(rust, _)| *rust)
                    .map(|(_, block)| block),
            ),
        }
    }
    blocks
}

/// Lines that rustdoc hides, and globs: what a reader sees is then not what compiles, or not where it comes from.
fn faults_of(code: &str) -> impl Iterator<Item = (usize, &'static str)> {
    code.lines().enumerate().filter_map(|(number, line)| {
        let line = line.trim();
        if line == "#" || line.starts_with("# ") {
            Some((number, "a hidden line"))
        } else if line.starts_with("use ") && line.contains('*') {
            Some((number, "a glob import"))
        } else {
            None
        }
    })
}

/// A crate with a module for each block, and the workspace's dependencies, versions and profile.
fn write_crate(root: &Path, folder: &Path, modules: &[(String, String)]) -> Result<(), String> {
    let source = folder.join("src");
    _ = fs::remove_dir_all(&source); // blocks of an earlier run
    fs::create_dir_all(&source).map_err(|error| format!("{}: {error}", source.display()))?;

    let workspace = read(&root.join("Cargo.toml"))?;
    let section = |head: &str| section(&workspace, head).ok_or(format!("no {head} in Cargo.toml"));
    let crates = format!("path = \"{}/crates/", root.display());
    let manifest = format!(
        "[package]\nname = \"snippets\"\nversion = \"0.0.0\"\nedition = \"2024\"\npublish = false\n\n\
         [dependencies]\n{DEPENDENCIES}\n[workspace]\n\n[workspace.dependencies]\n{}\n[profile.dev]\n{}\n\
         [profile.dev.package.\"*\"]\n{}",
        section("[workspace.dependencies]")?.replace("path = \"crates/", &crates),
        section("[profile.dev]")?,
        section("[profile.dev.package.\"*\"]")?,
    );
    write(&folder.join("Cargo.toml"), &manifest)?;
    write(&folder.join("Cargo.lock"), &read(&root.join("Cargo.lock"))?)?;

    // A page shows functions that its reader calls.
    let mut library = String::from("#![deny(warnings)]\n#![allow(dead_code)]\n");
    for (name, code) in modules {
        writeln!(library, "mod {name};").expect("a string takes all writes");
        write(&source.join(format!("{name}.rs")), code)?;
    }
    write(&source.join("lib.rs"), &library)
}

/// The lines of a TOML file between a head and the next one.
fn section<'a>(toml: &'a str, head: &str) -> Option<&'a str> {
    let (_, rest) = toml.split_once(&format!("{head}\n"))?;
    Some(rest.split_once("\n[").map_or(rest, |(section, _)| section))
}

/// A file's path as the name of a module.
fn identifier(path: &str) -> String {
    path.chars()
        .map(|letter| {
            if letter.is_ascii_alphanumeric() {
                letter.to_ascii_lowercase()
            } else {
                '_'
            }
        })
        .collect()
}

pub(crate) fn entries(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let read = || -> std::io::Result<Vec<PathBuf>> {
        let mut paths = Vec::new();
        for entry in fs::read_dir(folder)? {
            paths.push(entry?.path());
        }
        paths.sort();
        Ok(paths)
    };
    read().map_err(|error| format!("{}: {error}", folder.display()))
}

pub(crate) fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_rust_are_found_with_their_lines_and_others_are_not() {
        let text = "a\n```rust,no_run\nfn main() {}\n```\n```text\nfn no() {}\n```\n```rust\nuse a::b;\n\n```\n";
        let block = |line, code: &str| Block {
            line,
            code: code.to_owned(),
        };
        assert_eq!(
            blocks(text),
            [block(3, "fn main() {}\n"), block(9, "use a::b;\n\n")]
        );
    }

    #[test]
    fn hidden_lines_and_globs_are_faults_and_attributes_are_not() {
        let code = "#[derive(Debug)]\n# fn main() {\nuse a::*;\nlet x = a * b;\n#\n";
        let faults: Vec<_> = faults_of(code).collect();
        assert_eq!(
            faults,
            [
                (1, "a hidden line"),
                (2, "a glob import"),
                (4, "a hidden line")
            ]
        );
    }

    #[test]
    fn a_section_ends_at_the_next_head() {
        let toml = "[a]\nb = 1\n\n[c]\nd = [1]\n";
        assert_eq!(section(toml, "[a]"), Some("b = 1\n"));
        assert_eq!(section(toml, "[c]"), Some("d = [1]\n"));
        assert_eq!(section(toml, "[e]"), None);
    }

    #[test]
    fn no_markdown_file_has_a_block_that_does_not_paste() {
        let files = markdown(&root()).unwrap();
        assert!(files.iter().any(|file| file.ends_with("docs/policies.md")));
        for file in files {
            for block in blocks(&read(&file).unwrap()) {
                let faults: Vec<_> = faults_of(&block.code).collect();
                assert!(
                    faults.is_empty(),
                    "{}:{}: {faults:?}",
                    file.display(),
                    block.line
                );
            }
        }
    }
}
