//! Checks the links of the Markdown files to files and headings of the repository.
//!
//! A registry shows a published crate's README alone, so there each link must be absolute. The guides of
//! the facade are symbolic links, so that no copy can fall behind.

use std::{collections::HashSet, fs, path::Path};

use crate::{
    run::root,
    snippets::{markdown, read},
};

/// Where the repository's files are shown.
const BASE: &str = "https://github.com/plimsoll-rs/plimsoll/blob/main/";

/// Checks all of them.
pub(crate) fn check() -> Result<(), String> {
    let root = root();
    let (count, mut faults) = faults(&root)?;
    faults.extend(copied_guides(&root)?);
    if faults.is_empty() {
        println!("==> links: {count} resolve");
        Ok(())
    } else {
        Err(format!("links that do not resolve:\n{}", faults.join("\n")))
    }
}

/// The guides of the facade that are files of their own. `links.md` is one on purpose.
fn copied_guides(root: &Path) -> Result<Vec<String>, String> {
    let folder = root.join("crates/plimsoll/docs");
    let list = fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let copies = list.flatten().map(|file| file.path()).filter(|path| {
        !path.is_symlink() && path.file_name().is_some_and(|name| name != "links.md")
    });
    Ok(copies
        .map(|path| format!("{} is no symbolic link", path.display()))
        .collect())
}

/// The number of links into the repository, and those that lead nowhere.
fn faults(root: &Path) -> Result<(usize, Vec<String>), String> {
    let (mut count, mut faults) = (0, Vec::new());
    for file in markdown(root)? {
        let shown = file.strip_prefix(root).unwrap_or(&file);
        let folder = file.parent().unwrap_or(root);
        let published = shown.starts_with("crates")
            && !read(&folder.join("Cargo.toml"))?.contains("publish = false");
        let text = read(&file)?;
        let defined: HashSet<&str> = prose(&text)
            .filter_map(|(_, line)| definition(line).map(|(label, _)| label))
            .collect();
        for (line, label) in references(&text) {
            if !defined.contains(label) {
                faults.push(format!(
                    "{}:{line}: {label} has no definition",
                    shown.display()
                ));
            }
        }
        for (line, link) in links(&text) {
            let (start, link) = match link.strip_prefix(BASE) {
                Some(link) => (root, link),
                None if link.contains("://") => continue,
                None => (folder, link),
            };
            count += 1;
            let (path, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() {
                file.clone()
            } else {
                start.join(path)
            };
            let fault = if published && start == folder && !path.is_empty() {
                "is relative, in a published README"
            } else if !target.exists() {
                "does not exist"
            } else if !heading.is_empty() && !anchors(&read(&target)?).contains(heading) {
                "has no such heading"
            } else {
                continue;
            };
            faults.push(format!("{}:{line}: {link} {fault}", shown.display()));
        }
    }
    Ok((count, faults))
}

/// The targets of inline links and images, and of definitions, with their lines.
fn links(text: &str) -> Vec<(usize, &str)> {
    let targets = prose(text).flat_map(|(number, line)| {
        let after = line.split("](").skip(1);
        let inline = after.filter_map(|rest| rest.split_once(')').map(|(link, _)| link));
        let all = inline.chain(definition(line).map(|(_, link)| link));
        all.map(move |link| (number, link))
    });
    targets.collect()
}

/// The label and the target of a line that defines a link.
fn definition(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix('[')?.split_once("]: ")
}

/// The labels that links of the form `[text][label]` use, with their lines.
fn references(text: &str) -> Vec<(usize, &str)> {
    let labels = prose(text).flat_map(|(number, line)| {
        let text = line.split('`').step_by(2); // without code
        let after = text.flat_map(|text| text.split("][").skip(1));
        after.filter_map(move |rest| rest.split_once(']').map(|(label, _)| (number, label)))
    });
    labels.collect()
}

/// The headings as GitHub names them.
fn anchors(text: &str) -> HashSet<String> {
    let headings = prose(text).filter(|(_, line)| line.starts_with('#'));
    let anchor = |heading: &str| {
        let kept =
            heading
                .trim_start_matches('#')
                .trim()
                .chars()
                .filter_map(|letter| match letter {
                    ' ' => Some('-'),
                    '-' | '_' => Some(letter),
                    _ => letter
                        .is_alphanumeric()
                        .then(|| letter.to_ascii_lowercase()),
                });
        kept.collect()
    };
    headings.map(|(_, line)| anchor(line)).collect()
}

/// The lines outside of code blocks, with their numbers.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut code = false;
    (1..).zip(text.lines()).filter(move |(_, line)| {
        let fence = line.trim_start().starts_with("```");
        code ^= fence;
        !code && !fence
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snippets::entries;

    #[test]
    fn all_links_of_the_markdown_files_resolve() {
        let (count, faults) = faults(&root()).unwrap();
        assert_eq!(faults, <[String; 0]>::default());
        assert!(count > 100, "{count} links");
    }

    #[test]
    fn links_are_found_outside_of_code() {
        let text = "a [b](c.md#d) [e](f)\n```rust\nlet x = [g](h);\n```\n![i](j.svg)\n";
        assert_eq!(links(text), [(1, "c.md#d"), (1, "f"), (5, "j.svg")]);
    }

    #[test]
    fn definitions_are_links_and_references_need_one() {
        let text = "[`a`][b.md#c] and ![d][e.svg], `[f][g]`\n\n[b.md#c]: b.md#c\n";
        assert_eq!(links(text), [(3, "b.md#c")]);
        assert_eq!(references(text), [(1, "b.md#c"), (1, "e.svg")]);
    }

    /// The guides are pages of `plimsoll::guides`, too. There a relative link leads nowhere.
    #[test]
    fn each_link_of_a_guide_has_a_target_in_rustdoc() {
        let folder = root().join("crates/plimsoll/docs");
        let targets = read(&folder.join("links.md")).unwrap();
        let targets: HashSet<&str> = targets
            .lines()
            .filter_map(definition)
            .map(|(l, _)| l)
            .collect();
        let mut guides = 0;
        for file in entries(&folder).unwrap() {
            if file.ends_with("links.md") {
                continue;
            }
            guides += 1;
            let text = read(&file).unwrap();
            for (line, link) in links(&text) {
                let works = link.contains("://") || link.starts_with('#') || targets.contains(link);
                assert!(works, "{}:{line}: add {link} to links.md", file.display());
            }
        }
        assert!(guides > 10, "{guides} guides");
    }

    #[test]
    fn headings_have_githubs_names() {
        let anchors =
            anchors("# Readiness, and tower's `LoadShed`\n```sh\n# no heading\n```\n### A b\n");
        let expected = ["readiness-and-towers-loadshed", "a-b"].map(str::to_owned);
        assert_eq!(anchors, HashSet::from(expected));
    }
}
