//! `cargo xtask prose`: a ratchet for plain English in comments and Markdown.
//!
//! Counts the phrases of [`terms`] in each crate and each Markdown file. `prose.txt` holds the
//! number that each may have; a number may only fall.

mod terms;
mod text;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::{Path, PathBuf},
};

use self::text::Found;
use crate::run::root;

/// The share of lines with a hit that the project aims at, in percent.
const GOAL: f64 = 2.0;

/// Where the numbers are, from the workspace's folder.
const TABLE: &str = "xtask/prose.txt";

const HEADER: &str = "\
# Hits of `cargo xtask prose` that each crate and each Markdown file may have.
# Numbers only fall: `cargo xtask prose --write` lowers them.
";

/// A crate or a Markdown file: its lines of prose and its hits, as `file:line: phrase`.
#[derive(Debug, Default)]
struct Unit {
    lines: usize,
    hits: Vec<String>,
}

/// Compares the workspace with the table. `--write` lowers the numbers of the table; a name lists
/// the hits of that crate or file and compares nothing.
pub(crate) fn run(argument: Option<&str>) -> Result<(), String> {
    let units = units()?;
    let path = root().join(TABLE);
    let table = std::fs::read_to_string(&path).ok();
    match argument {
        None | Some("--write") => {}
        Some(name) => {
            let unit = units
                .get(name)
                .ok_or_else(|| format!("no crate or Markdown file is named {name}"))?;
            println!("{}", unit.hits.join("\n"));
            println!("{}", line(name, unit));
            return Ok(());
        }
    }
    for (name, unit) in &units {
        println!("{}", line(name, unit));
    }
    let actual: BTreeMap<&str, usize> = units
        .iter()
        .map(|(name, unit)| (&**name, unit.hits.len()))
        .collect();
    let allowed = match &table {
        Some(table) => parse(table)?,
        None if argument.is_some() => actual.clone(),
        None => return Err(format!("{TABLE} is missing")),
    };
    let compared = compare(&allowed, &actual);
    if argument == Some("--write") {
        std::fs::write(&path, compared.table)
            .map_err(|error| format!("could not write {TABLE}: {error}"))?;
    }
    for name in &compared.more {
        println!("{}", units[*name].hits.join("\n"));
    }
    let mut complaints: Vec<String> = compared
        .more
        .iter()
        .map(|name| {
            let allowed = allowed.get(name).unwrap_or(&0);
            format!("{name} has {} hits, {allowed} are allowed", actual[name])
        })
        .collect();
    if argument.is_none() {
        complaints.extend(compared.fewer.iter().map(|name| {
            let actual = actual.get(name).unwrap_or(&0);
            let allowed = allowed[name];
            format!("{name} has {actual} hits, its number is {allowed}: lower it with `cargo xtask prose --write`")
        }));
    }
    if complaints.is_empty() {
        Ok(())
    } else {
        Err(complaints.join("\nxtask: "))
    }
}

fn line(name: &str, unit: &Unit) -> String {
    let hits = unit.hits.len();
    let percent = 100.0 * hits as f64 / unit.lines.max(1) as f64;
    let over = if percent > GOAL { "above the goal" } else { "" };
    format!(
        "{name:40} {:6} lines {hits:5} hits {percent:5.1} %  {over}",
        unit.lines
    )
    .trim_end()
    .to_owned()
}

/// The names whose hits differ from the table, and the table with the lower number of both.
struct Compared<'a> {
    more: Vec<&'a str>,
    fewer: Vec<&'a str>,
    table: String,
}

fn compare<'a>(
    allowed: &BTreeMap<&'a str, usize>,
    actual: &BTreeMap<&'a str, usize>,
) -> Compared<'a> {
    let mut table = HEADER.to_owned();
    let (mut more, mut fewer) = (Vec::new(), Vec::new());
    for (name, hits) in actual {
        let allowed = allowed.get(name).copied().unwrap_or(0);
        if *hits > allowed {
            more.push(*name);
        } else if *hits < allowed {
            fewer.push(*name);
        }
        _ = writeln!(table, "{name} {}", allowed.min(*hits));
    }
    fewer.extend(allowed.keys().filter(|name| !actual.contains_key(*name)));
    Compared { more, fewer, table }
}

fn parse(table: &str) -> Result<BTreeMap<&str, usize>, String> {
    table
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| {
            let row = line.rsplit_once(' ');
            row.and_then(|(name, hits)| Some((name, hits.parse().ok()?)))
                .ok_or_else(|| format!("{TABLE}: not a name and a number: {line}"))
        })
        .collect()
}

/// Every crate by the name of its folder, and every Markdown file by its path.
fn units() -> Result<BTreeMap<String, Unit>, String> {
    let root = root();
    let mut folders: Vec<PathBuf> = ["benches", "fuzz", "xtask"]
        .map(|name| root.join(name))
        .into();
    for parent in ["crates", "examples"] {
        folders.extend(
            entries(&root.join(parent))?
                .into_iter()
                .filter(|path| path.is_dir()),
        );
    }
    let mut units = BTreeMap::new();
    for file in files(&root)? {
        let text = std::fs::read_to_string(&file)
            .map_err(|error| format!("could not read {}: {error}", file.display()))?;
        let shown = file
            .strip_prefix(&root)
            .unwrap_or(&file)
            .display()
            .to_string();
        let (name, found) = if file.extension().is_some_and(|ending| ending == "md") {
            (shown.clone(), text::markdown(&text))
        } else if let Some(folder) = folders.iter().find(|folder| file.starts_with(folder)) {
            let name = folder.file_name().unwrap_or_default();
            (name.to_string_lossy().into_owned(), text::rust(&text))
        } else {
            continue;
        };
        add(units.entry(name).or_default(), &shown, found);
    }
    Ok(units)
}

fn add(unit: &mut Unit, file: &str, found: Found) {
    unit.lines += found.lines;
    unit.hits.extend(
        found
            .hits
            .into_iter()
            .map(|hit| format!("{file}:{}: \"{}\": {}", hit.line, hit.phrase, hit.better)),
    );
}

/// All Rust and Markdown files below a folder, in order. Links, hidden files and builds are left
/// out.
fn files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    for path in entries(folder)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_symlink() || name.starts_with('.') || name == "target" {
            continue;
        }
        if path.is_dir() {
            files.extend(self::files(&path)?);
        } else if path
            .extension()
            .is_some_and(|ending| ending == "rs" || ending == "md")
        {
            files.push(path);
        }
    }
    Ok(files)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let failed = |error| format!("could not list {}: {error}", folder.display());
    let listed = std::fs::read_dir(folder).map_err(failed)?;
    let mut paths = listed
        .map(|entry| entry.map(|entry| entry.path()).map_err(failed))
        .collect::<Result<Vec<_>, _>>()?;
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(allowed: &str, actual: &str) -> (Vec<String>, Vec<String>, String) {
        let (allowed, actual) = (parse(allowed).unwrap(), parse(actual).unwrap());
        let compared = compare(&allowed, &actual);
        let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
        let table = compared.table.strip_prefix(HEADER).unwrap().to_owned();
        (owned(compared.more), owned(compared.fewer), table)
    }

    #[test]
    fn more_hits_than_allowed_fail_and_do_not_raise_the_number() {
        let (more, fewer, table) = compared("a 2\nb 0\n", "a 3\nb 0\n");
        assert_eq!((more, fewer.len()), (vec!["a".to_owned()], 0));
        assert_eq!(table, "a 2\nb 0\n");
    }

    #[test]
    fn fewer_hits_than_allowed_fail_until_the_number_is_lowered() {
        let (more, fewer, table) = compared("a 2\nb 1\n", "a 1\nb 1\n");
        assert_eq!((more.len(), fewer), (0, vec!["a".to_owned()]));
        let (more, fewer, _) = compared(&table, "a 1\nb 1\n");
        assert_eq!((more.len(), fewer.len()), (0, 0));
    }

    #[test]
    fn a_name_without_a_row_may_have_no_hits() {
        let (more, _, table) = compared("", "new 1\nplain 0\n");
        assert_eq!(more, ["new"]);
        assert_eq!(table, "new 0\nplain 0\n");
    }

    #[test]
    fn a_row_of_a_removed_file_fails_until_it_is_removed() {
        let (_, fewer, table) = compared("a 0\nold 3\n", "a 0\n");
        assert_eq!((fewer, &*table), (vec!["old".to_owned()], "a 0\n"));
    }

    #[test]
    fn a_malformed_row_is_an_error_that_quotes_it() {
        assert!(parse("a b\n").unwrap_err().ends_with("a b"));
    }

    #[test]
    fn every_crate_of_the_workspace_is_counted() {
        let units = units().unwrap();
        for name in [
            "plimsoll",
            "plimsoll-core",
            "stacks",
            "benches",
            "xtask",
            "README.md",
        ] {
            assert!(units[name].lines > 0, "{name}");
        }
    }
}
