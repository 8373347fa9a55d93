//! Rust files as syntax trees.

use std::path::{Path, PathBuf};

use crate::snippets::{entries, read};

/// Parses a file of Rust.
pub(crate) fn parse(path: &Path) -> Result<syn::File, String> {
    syn::parse_file(&read(path)?).map_err(|error| {
        let at = error.span().start().line;
        format!("{}:{at}: {error}", path.display())
    })
}

/// Whether an item is compiled in tests or loom models only.
pub(crate) fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let syn::Meta::List(list) = &attribute.meta else {
            return attribute.path().is_ident("test");
        };
        let text = list.tokens.to_string();
        list.path.is_ident("cfg")
            && (text == "test"
                || text == "loom"
                || text.starts_with("all (test")
                || text.starts_with("all(test")
                || text.starts_with("all (loom"))
    })
}

/// The Rust files below a folder, without those of tests and loom models.
pub(crate) fn sources(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    for path in entries(folder)? {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        if ["models", "tests"].contains(&&*name) || name.ends_with("_tests") {
            continue;
        }
        if path.is_dir() {
            files.extend(sources(&path)?);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
    Ok(files)
}
