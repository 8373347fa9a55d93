//! `cargo xtask semver`: which changes of the public API break code that uses it.

use std::process::Command;

use crate::{
    run::{cargo, need, output, root, timed},
    workspace::Workspace,
};

/// The exit status of cargo-semver-checks when a change needs a new major version. With another
/// number the command would call a found change a failure of the tool: it is 100 in release 0.51.
const BREAKS: i32 = 100;

/// Compares with a revision: by default the last tag, or without tags the branch point off `main`,
/// since nothing is published yet. On `main` itself this is the previous commit.
pub(crate) fn run(revision: Option<&str>) -> Result<(), String> {
    need(
        "cargo",
        &["semver-checks", "--version"],
        &mut cargo(&["install", "cargo-semver-checks", "--locked"]),
    )?;
    let baseline = match revision {
        Some(revision) => revision.to_owned(),
        None => baseline()?,
    };
    let workspace = Workspace::read()?;
    let mut check = cargo(&[
        "semver-checks",
        "--all-features",
        "--baseline-rev",
        &baseline,
    ]);
    timed("semver", || {
        let status = check
            .args(workspace.arguments())
            .current_dir(root())
            .status()
            .map_err(|error| format!("could not run cargo semver-checks: {error}"))?;
        match status.code() {
            Some(0) => Ok(()),
            Some(BREAKS) => Err(format!(
                "changes since {baseline} break users: see each `failure` above"
            )),
            _ => Err(format!(
                "cargo semver-checks could not compare with {baseline} ({status})"
            )),
        }
    })
}

/// The step of CI: compares with the last release. Until there is one, every change is allowed, and
/// the step states that it compares with nothing.
pub(crate) fn since_release() -> Result<(), String> {
    if last_tag().is_none() {
        println!("==> semver: no release yet, so no change can break users");
        return Ok(());
    }
    run(None)
}

fn git(args: &[&str]) -> Result<String, String> {
    let text = output(Command::new("git").args(args).current_dir(root()))?;
    Ok(text.trim().to_owned())
}

fn last_tag() -> Option<String> {
    git(&["describe", "--tags", "--abbrev=0"]).ok()
}

fn baseline() -> Result<String, String> {
    if let Some(tag) = last_tag() {
        return Ok(tag);
    }
    let head = git(&["rev-parse", "HEAD"])?;
    match git(&["merge-base", "main", "HEAD"]) {
        Ok(base) if base != head => Ok(base),
        _ => git(&["rev-parse", "HEAD~"]),
    }
}
