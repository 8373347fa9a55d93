//! `cargo xtask circles`: two files of a crate never import each other.
//!
//! A file imports another when it names an item that the other one defines, in a `use` or in a
//! path. `mod x;` and `pub use x::Y;` are no imports of this kind: they say where an item is found,
//! and an import through them counts for the file that defines the item. Test code is not read.

mod graph;
mod names;
mod source;

use std::path::Path;

use crate::{run::root, snippets::entries};

/// Checks every crate, or prints each circle with the names that make it.
pub(crate) fn check() -> Result<(), String> {
    let root = root();
    let (mut lines, mut files) = (Vec::new(), 0);
    for sources in crates(&root)? {
        let tree = source::Tree::read(&sources)?;
        files += tree.files.len();
        for circle in graph::circles(&tree) {
            let [a, b] = circle.files.each_ref().map(|file| {
                let file = file.strip_prefix(&root).unwrap_or(file);
                file.display()
            });
            lines.push(format!("{a} <-> {b}: {}", circle.names));
        }
    }
    if lines.is_empty() {
        println!("==> circles: none in {files} files");
        Ok(())
    } else {
        Err(format!(
            "two files never import each other:\n{}",
            lines.join("\n")
        ))
    }
}

/// The `src` folders of all crates of the workspace.
fn crates(root: &Path) -> Result<Vec<std::path::PathBuf>, String> {
    let mut folders = vec![root.join("benches"), root.join("xtask")];
    for parent in ["crates", "examples"] {
        folders.extend(entries(&root.join(parent))?);
    }
    let sources = folders.into_iter().map(|folder| folder.join("src"));
    Ok(sources.filter(|folder| folder.is_dir()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The circles among files that are given with their text.
    fn circles_of(files: &[(&str, &str)]) -> Vec<String> {
        let tree = source::Tree::of(files.iter().map(|(path, text)| {
            let file = syn::parse_file(text).unwrap();
            (Path::new(path).to_owned(), file)
        }));
        let circles = graph::circles(&tree);
        let shown = circles.iter().map(|circle| {
            let [a, b] = &circle.files;
            format!("{} {}: {}", a.display(), b.display(), circle.names)
        });
        shown.collect()
    }

    #[test]
    fn a_parent_that_reexports_its_child_is_no_circle() {
        let files = [
            ("lib.rs", "mod a;\npub use a::A;\npub struct B;"),
            ("a.rs", "use crate::B;\npub struct A(B);"),
        ];
        assert_eq!(circles_of(&files), [""; 0]);
    }

    #[test]
    fn a_parent_that_uses_its_child_is_one() {
        let files = [
            ("lib.rs", "mod a;\nuse a::A;\npub struct B(A);"),
            ("a.rs", "use super::B;\npub struct A(Box<B>);"),
        ];
        assert_eq!(circles_of(&files), ["a.rs lib.rs: B; A"]);
    }

    #[test]
    fn an_import_through_a_reexport_counts_for_the_file_that_defines_the_item() {
        let files = [
            ("lib.rs", "mod a;\nmod b;\npub use a::A;\npub use b::*;"),
            ("a.rs", "use crate::B;\npub struct A(B);"),
            ("b.rs", "use crate::A;\npub struct B(Box<A>);"),
        ];
        assert_eq!(circles_of(&files), ["a.rs b.rs: B; A"]);
    }

    #[test]
    fn a_path_in_an_expression_is_an_import() {
        let files = [
            ("lib.rs", "mod a;\nmod b;"),
            ("a.rs", "pub fn a() { crate::b::b() }"),
            (
                "b.rs",
                "use crate::a;\npub fn b() { let x = 1; c(x); a::a() }\nfn c(_: u8) {}",
            ),
        ];
        assert_eq!(circles_of(&files), ["a.rs b.rs: b; a"]);
    }

    #[test]
    fn tests_may_use_what_they_test() {
        let files = [
            ("lib.rs", "mod a;\nmod b;"),
            ("a.rs", "pub struct A(crate::b::B);"),
            (
                "b.rs",
                "pub struct B;\n#[cfg(test)]\nmod tests { use crate::a::A; fn t(_: A) {} }",
            ),
        ];
        assert_eq!(circles_of(&files), [""; 0]);
    }

    #[test]
    fn every_crate_with_sources_is_read() {
        let found = crates(&root()).unwrap();
        for of in [
            "crates/plimsoll-core",
            "crates/plimsoll-lab",
            "benches",
            "xtask",
        ] {
            assert!(found.contains(&root().join(of).join("src")), "{of}");
        }
    }
}
