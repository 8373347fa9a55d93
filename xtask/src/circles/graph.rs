//! Which file imports which, and the pairs that import each other.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use syn::visit::{self, Visit};

use super::source::{Module, Names, Tree};
use crate::rust::is_test;

/// Two files that import each other.
pub(super) struct Circle {
    pub(super) files: [PathBuf; 2],
    /// What the first file imports of the second, and what the second imports of the first.
    pub(super) names: String,
}

/// The pairs of files that import each other.
pub(super) fn circles(tree: &Tree) -> Vec<Circle> {
    let mut imports = BTreeMap::<(usize, usize), BTreeSet<String>>::new();
    for (names, module) in &tree.modules {
        for path in used(module) {
            if let Some(target) = tree.target(names, &path)
                && target.file != module.file
            {
                let edge = imports.entry((module.file, target.file)).or_default();
                edge.insert(target.name);
            }
        }
    }
    let shown = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(", ");
    let mut circles = Vec::new();
    for (&(a, b), of_b) in &imports {
        let (first, second) = (&tree.files[a], &tree.files[b]);
        if let Some(of_a) = imports.get(&(b, a)).filter(|_| first < second) {
            circles.push(Circle {
                files: [first.clone(), second.clone()],
                names: format!("{}; {}", shown(of_b), shown(of_a)),
            });
        }
    }
    circles
}

/// The paths that a module names: its private imports and those in its code.
///
/// A public import is a re-export. A name that it brings in and the code uses is found there.
fn used(module: &Module) -> BTreeSet<Names> {
    let mut paths = Paths::default();
    for item in &module.items {
        paths.visit_item(item);
    }
    let imports = module.imports.iter().filter(|import| !import.is_public);
    paths.0.extend(imports.map(|import| import.path.clone()));
    paths.0
}

#[derive(Default)]
struct Paths(BTreeSet<Names>);

impl<'ast> Visit<'ast> for Paths {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names = path.segments.iter().map(|part| part.ident.to_string());
        self.0.insert(names.collect());
        visit::visit_path(self, path);
    }

    fn visit_item_mod(&mut self, inner: &'ast syn::ItemMod) {
        if !is_test(&inner.attrs) {
            visit::visit_item_mod(self, inner);
        }
    }

    fn visit_item_impl(&mut self, inner: &'ast syn::ItemImpl) {
        if !is_test(&inner.attrs) {
            visit::visit_item_impl(self, inner);
        }
    }

    fn visit_impl_item_fn(&mut self, inner: &'ast syn::ImplItemFn) {
        if !is_test(&inner.attrs) {
            visit::visit_impl_item_fn(self, inner);
        }
    }
}
