//! `cargo xtask api`: the public API of each published crate, as text in `docs/api/`.
//!
//! The list comes from the JSON of rustdoc through the crate `public-api`, whose version reads the
//! format of one range of compilers: a newer compiler may need a newer `public-api` in `Cargo.toml`.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::PathBuf};

use crate::{
    docs,
    run::{root, step},
    workspace::Workspace,
};

/// Where the snapshots are, from the workspace's folder.
const FOLDER: &str = "docs/api";

/// Compares the snapshots with the code, or with `--write` replaces them.
pub(crate) fn run(argument: Option<&str>) -> Result<(), String> {
    let write = match argument {
        None => false,
        Some("--write") => true,
        Some(other) => return Err(format!("usage: cargo xtask api [--write], not {other}")),
    };
    let workspace = Workspace::read()?;
    let output = root().join("target/doc");
    let json = |name: &str| output.join(format!("{}.json", name.replace('-', "_")));
    for package in &workspace.published {
        // What an earlier run has left would hide a failure.
        _ = fs::remove_file(json(&package.name));
    }
    let mut doc = docs::doc("-Z unstable-options --output-format json --cap-lints allow")?;
    step("JSON of the public API", doc.args(workspace.arguments()))?;
    let mut snapshots = BTreeMap::new();
    for package in &workspace.published {
        snapshots.insert(package.name.clone(), list(json(&package.name))?);
    }
    if write {
        self::write(&snapshots)
    } else {
        compare(&snapshots)
    }
}

/// One line for each public item, without the implementations that every type has.
fn list(json: PathBuf) -> Result<String, String> {
    let shown = json.display().to_string();
    let builder = public_api::Builder::from_rustdoc_json(json);
    let api = builder
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build()
        .map_err(|error| format!("{shown}: {error}"))?;
    let mut text = String::new();
    for item in api.items() {
        writeln!(text, "{item}").expect("a string takes all writes");
    }
    Ok(text)
}

fn path(name: &str) -> PathBuf {
    root().join(FOLDER).join(format!("{name}.txt"))
}

fn write(snapshots: &BTreeMap<String, String>) -> Result<(), String> {
    fs::create_dir_all(root().join(FOLDER)).map_err(|error| format!("{FOLDER}: {error}"))?;
    for (name, text) in snapshots {
        fs::write(path(name), text).map_err(|error| format!("{FOLDER}/{name}.txt: {error}"))?;
        println!("==> {FOLDER}/{name}.txt: {} items", text.lines().count());
    }
    Ok(())
}

fn compare(snapshots: &BTreeMap<String, String>) -> Result<(), String> {
    let mut changed = Vec::new();
    for (name, new) in snapshots {
        let old = fs::read_to_string(path(name)).unwrap_or_default();
        let lines = difference(&old, new);
        if !lines.is_empty() {
            println!("{FOLDER}/{name}.txt:\n{}", lines.join("\n"));
            changed.push(&**name);
        }
    }
    if changed.is_empty() {
        println!("==> api: {} snapshots hold", snapshots.len());
        Ok(())
    } else {
        let names = changed.join(", ");
        Err(format!(
            "the public API of {names} changed: review it, then `cargo xtask api --write`"
        ))
    }
}

/// The lines that were removed and added, in the order of the alphabet: the lists are sorted, and
/// an item that moves is one of each.
fn difference(old: &str, new: &str) -> Vec<String> {
    let mut counts = BTreeMap::<&str, i64>::new();
    for line in old.lines() {
        *counts.entry(line).or_default() -= 1;
    }
    for line in new.lines() {
        *counts.entry(line).or_default() += 1;
    }
    let differ = counts.into_iter().filter(|(_, count)| *count != 0);
    let signed = differ.map(|(line, count)| format!("{}{line}", if count < 0 { '-' } else { '+' }));
    signed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_difference_has_removed_and_added_lines() {
        let lines = difference("a\nb(u32)\nc\n", "a\nb(u64)\nc\nd\n");
        assert_eq!(lines, ["-b(u32)", "+b(u64)", "+d"]);
    }

    #[test]
    fn equal_lists_have_no_difference_and_repeated_lines_count() {
        assert_eq!(difference("a\na\n", "a\na\n"), [""; 0]);
        assert_eq!(difference("a\n", "a\na\n"), ["+a"]);
    }

    #[test]
    fn every_published_crate_has_a_snapshot() {
        for package in Workspace::read().unwrap().published {
            assert!(path(&package.name).exists(), "{}", package.name);
        }
    }
}
