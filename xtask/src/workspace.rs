//! The packages of the workspace and their dependencies, from cargo.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::run::{cargo, output};

/// A package of the workspace that is published.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// Its `rust-version`.
    pub(crate) rust: String,
    /// Its features, without `default`, in the order of the alphabet.
    pub(crate) features: Vec<String>,
}

/// The published packages, and the `rust-version` of each package that they may depend on, by
/// `name version`.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) published: Vec<Package>,
    pub(crate) rust: BTreeMap<String, String>,
}

impl Workspace {
    /// Asks cargo.
    pub(crate) fn read() -> Result<Self, String> {
        let text = output(&mut cargo(&[
            "metadata",
            "--format-version",
            "1",
            "--locked",
        ]))?;
        let metadata: Value =
            serde_json::from_str(&text).map_err(|error| format!("cargo metadata: {error}"))?;
        let packages = metadata["packages"].as_array().ok_or("no packages")?;
        let members = metadata["workspace_members"]
            .as_array()
            .ok_or("no members")?;
        let mut workspace = Self {
            published: Vec::new(),
            rust: BTreeMap::new(),
        };
        for package in packages {
            let text = |field: &str| package[field].as_str().unwrap_or_default().to_owned();
            let (name, rust) = (text("name"), text("rust_version"));
            // Without `publish = false` there is no list of registries.
            if members.contains(&package["id"]) && package["publish"].is_null() {
                let features = package["features"].as_object().into_iter().flatten();
                let features = features.map(|(name, _)| name.clone());
                workspace.published.push(Package {
                    name: name.clone(),
                    rust: rust.clone(),
                    features: features.filter(|name| name != "default").collect(),
                });
            }
            let key = format!("{name} {}", text("version"));
            workspace.rust.insert(key, rust);
        }
        workspace.published.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(workspace)
    }

    /// `--package` and its name, for each published package.
    pub(crate) fn arguments(&self) -> impl Iterator<Item = &str> {
        let names = self.published.iter().map(|package| &*package.name);
        names.flat_map(|name| ["--package", name])
    }
}

/// The dependencies of a package that are built with these features, as `name version`; those of
/// tests are left out.
pub(crate) fn dependencies(package: &str, features: &[&str]) -> Result<Vec<String>, String> {
    let mut tree = cargo(&["tree", "--locked", "--edges", "normal,build"]);
    tree.args(["--prefix", "none", "--format", "{p}"]);
    tree.args(["--package", package, "--no-default-features"]);
    tree.args(["--features", &features.join(",")]);
    let text = output(&mut tree)?;
    let mut names: Vec<String> = text.lines().filter_map(name_and_version).collect();
    names.sort();
    names.dedup();
    Ok(names)
}

/// `sfv v0.15.0 (*)` as `sfv 0.15.0`.
fn name_and_version(line: &str) -> Option<String> {
    let mut words = line.split(' ');
    let (name, version) = (words.next()?, words.next()?);
    Some(format!("{name} {}", version.strip_prefix('v')?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_tree_are_names_with_versions() {
        let line = "plimsoll-core v0.1.0 (/a/b) (*)";
        assert_eq!(
            name_and_version(line).as_deref(),
            Some("plimsoll-core 0.1.0")
        );
        assert_eq!(name_and_version(""), None);
    }

    #[test]
    fn the_facade_is_published_and_the_lab_is_not() {
        let workspace = Workspace::read().unwrap();
        let facade = workspace.published.iter().find(|of| of.name == "plimsoll");
        assert!(facade.unwrap().features.contains(&"rate-limit".to_owned()));
        assert!(
            workspace
                .published
                .iter()
                .all(|of| of.name != "plimsoll-lab")
        );
        assert!(workspace.rust.keys().any(|of| of.starts_with("tokio ")));
    }
}
