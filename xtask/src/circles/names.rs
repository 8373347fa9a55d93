//! From a path in a module to the file that defines what it names.

use super::source::{Names, Tree};

/// Longest chain of imports that is followed. A longer one has a loop.
const LONGEST_CHAIN: u32 = 16;

/// An item of the crate: the file that defines it, and its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Target {
    pub(super) file: usize,
    pub(super) name: String,
}

impl Tree {
    /// The item that a path in the module `from` names; `None` for a module, a local name, or an
    /// item of another crate.
    pub(super) fn target(&self, from: &[String], path: &[String]) -> Option<Target> {
        self.resolve(from, path, 0)
    }

    fn resolve(&self, from: &[String], path: &[String], depth: u32) -> Option<Target> {
        if depth > LONGEST_CHAIN {
            return None;
        }
        let (first, rest) = path.split_first()?;
        match &**first {
            "crate" => return self.walk(&[], rest, depth),
            "self" => return self.walk(from, rest, depth),
            "super" => {
                let (_, parent) = from.split_last()?;
                return match rest.first() {
                    Some(next) if next == "super" => self.resolve(parent, rest, depth),
                    _ => self.walk(parent, rest, depth),
                };
            }
            _ => {}
        }
        self.walk(from, path, depth)
    }

    /// Follows the names from a module: to a child, a definition or an import.
    fn walk(&self, module: &[String], path: &[String], depth: u32) -> Option<Target> {
        let here = self.modules.get(module)?;
        let (name, rest) = path.split_first()?;
        if here.children.contains(name) && !rest.is_empty() {
            return self.walk(&child(module, name), rest, depth);
        }
        if here.defined.contains(name) {
            return Some(Target {
                file: here.file,
                name: name.clone(),
            });
        }
        for import in &here.imports {
            let path = if import.name == *name {
                [&import.path, rest].concat()
            } else if import.name == "*" && self.is_inside(module, &import.path) {
                [&import.path, path].concat()
            } else {
                continue;
            };
            if let Some(target) = self.resolve(module, &path, depth + 1) {
                return Some(target);
            }
        }
        None
    }

    /// Whether a path leads into this crate.
    fn is_inside(&self, module: &[String], path: &[String]) -> bool {
        let Some(first) = path.first() else {
            return false;
        };
        let children = self.modules.get(module).map(|module| &module.children);
        ["crate", "self", "super"].contains(&&**first)
            || children.is_some_and(|children| children.contains(first))
    }
}

fn child(module: &[String], name: &str) -> Names {
    let names = module.iter().cloned();
    names.chain([name.to_owned()]).collect()
}
