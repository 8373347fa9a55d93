//! The modules of a crate, with what each one defines and imports.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use syn::{Item, UseTree};

use crate::rust::{is_test, parse, sources};

/// A path of names from the root of the crate: `["gate", "held"]`.
pub(super) type Names = Vec<String>;

/// A name that a module imports, or `*`, and the path as it is written.
pub(super) struct Import {
    pub(super) name: String,
    pub(super) path: Names,
    pub(super) is_public: bool,
}

/// A module, which may be a part of a file.
#[derive(Default)]
pub(super) struct Module {
    pub(super) file: usize,
    pub(super) defined: BTreeSet<String>,
    pub(super) imports: Vec<Import>,
    pub(super) children: BTreeSet<String>,
    /// The items, without `use` and modules.
    pub(super) items: Vec<Item>,
}

/// All modules of a crate, and of the programs beside its library.
#[derive(Default)]
pub(super) struct Tree {
    pub(super) files: Vec<PathBuf>,
    pub(super) modules: BTreeMap<Names, Module>,
}

impl Tree {
    /// Reads the files below a `src` folder, without those of tests.
    pub(super) fn read(folder: &Path) -> Result<Self, String> {
        let mut files = Vec::new();
        for path in sources(folder)? {
            files.push((path.clone(), parse(&path)?));
        }
        Ok(Self::of_below(folder, files))
    }

    /// The files of a crate by their paths from its `src` folder.
    #[cfg(test)]
    pub(super) fn of(files: impl IntoIterator<Item = (PathBuf, syn::File)>) -> Self {
        Self::of_below(Path::new(""), files)
    }

    fn of_below(folder: &Path, files: impl IntoIterator<Item = (PathBuf, syn::File)>) -> Self {
        let mut tree = Self::default();
        for (path, file) in files {
            let names = names_of(path.strip_prefix(folder).unwrap_or(&path));
            tree.files.push(path);
            tree.add(names, tree.files.len() - 1, file.items);
        }
        // A file declared under `cfg(test)` has no parent that names it: it is test code.
        let declared = |names: &Names| match names.split_last() {
            Some((name, parent)) => {
                let parent = tree.modules.get(parent);
                parent.is_none_or(|parent| parent.children.contains(name))
            }
            None => true,
        };
        let kept: BTreeSet<Names> = tree
            .modules
            .keys()
            .filter(|of| declared(of))
            .cloned()
            .collect();
        tree.modules.retain(|names, _| kept.contains(names));
        tree
    }

    fn add(&mut self, names: Names, file: usize, items: Vec<Item>) {
        let mut module = Module {
            file,
            ..Module::default()
        };
        for item in items {
            match item {
                Item::Use(import) if !is_test(&import.attrs) => {
                    let is_public = !matches!(import.vis, syn::Visibility::Inherited);
                    flatten(
                        &import.tree,
                        &mut Vec::new(),
                        is_public,
                        &mut module.imports,
                    );
                }
                Item::Mod(inner) if !is_test(&inner.attrs) => {
                    let name = inner.ident.to_string();
                    module.children.insert(name.clone());
                    if let Some((_, items)) = inner.content {
                        let names = names.iter().cloned().chain([name]).collect();
                        self.add(names, file, items);
                    }
                }
                Item::Use(_) | Item::Mod(_) => {}
                other => {
                    if let Some((name, attributes)) = defined(&other) {
                        if is_test(attributes) {
                            continue;
                        }
                        module.defined.insert(name);
                    }
                    module.items.push(other);
                }
            }
        }
        self.modules.insert(names, module);
    }
}

/// `gate/held.rs` is `gate::held`, `gate/mod.rs` is `gate`; `lib.rs` and `main.rs` are the root.
fn names_of(path: &Path) -> Names {
    let mut names: Names = path
        .with_extension("")
        .components()
        .map(|part| part.as_os_str().to_string_lossy().into_owned())
        .collect();
    if names.last().is_some_and(|last| last == "mod")
        || matches!(&*names, [root] if root == "lib" || root == "main")
    {
        names.pop();
    }
    names
}

fn flatten(tree: &UseTree, before: &mut Names, is_public: bool, imports: &mut Vec<Import>) {
    let mut import = |name: String, path: Names| {
        imports.push(Import {
            name,
            path,
            is_public,
        });
    };
    match tree {
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            flatten(&path.tree, before, is_public, imports);
            before.pop();
        }
        UseTree::Name(name) if name.ident == "self" => {
            import(before.last().cloned().unwrap_or_default(), before.clone());
        }
        UseTree::Name(name) => {
            let name = name.ident.to_string();
            import(name.clone(), [before.clone(), vec![name]].concat());
        }
        UseTree::Rename(rename) => {
            let name = vec![rename.ident.to_string()];
            import(rename.rename.to_string(), [before.clone(), name].concat());
        }
        UseTree::Glob(_) => import("*".to_owned(), before.clone()),
        UseTree::Group(group) => {
            for tree in &group.items {
                flatten(tree, before, is_public, imports);
            }
        }
    }
}

/// The name of an item, if it has one.
fn defined(item: &Item) -> Option<(String, &[syn::Attribute])> {
    let (name, attributes) = match item {
        Item::Const(item) => (&item.ident, &item.attrs),
        Item::Enum(item) => (&item.ident, &item.attrs),
        Item::Fn(item) => (&item.sig.ident, &item.attrs),
        Item::Macro(item) => (item.ident.as_ref()?, &item.attrs),
        Item::Static(item) => (&item.ident, &item.attrs),
        Item::Struct(item) => (&item.ident, &item.attrs),
        Item::Trait(item) => (&item.ident, &item.attrs),
        Item::Type(item) => (&item.ident, &item.attrs),
        Item::Union(item) => (&item.ident, &item.attrs),
        _ => return None,
    };
    Some((name.to_string(), attributes))
}
