//! Documentation: as docs.rs builds it, and as JSON for the snapshots of the public API.
//!
//! Both need unstable options of rustdoc. `RUSTC_BOOTSTRAP` allows them on a stable compiler, but
//! as a variable of cargo it would rebuild every dependency whose build script reads it. So this
//! program is the `rustdoc` that cargo calls, and sets the variable for rustdoc alone.

use std::process::{Command, ExitCode};

use crate::run::{cargo, step};

/// Set for the calls of this program as `rustdoc`.
const AS_RUSTDOC: &str = "XTASK_AS_RUSTDOC";

/// Runs rustdoc with these arguments when cargo has called this program as `rustdoc`.
pub(crate) fn as_rustdoc() -> Option<ExitCode> {
    let rustdoc = std::env::var_os(AS_RUSTDOC)?;
    let mut command = Command::new(rustdoc);
    command.args(std::env::args_os().skip(1));
    let status = command.env("RUSTC_BOOTSTRAP", "1").status();
    Some(if status.is_ok_and(|status| status.success()) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// `cargo doc` without dependencies and with all features, with these flags of rustdoc.
pub(crate) fn doc(flags: &str) -> Result<Command, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut doc = cargo(&["doc", "--all-features", "--no-deps", "--quiet"]);
    doc.env("RUSTDOC", program).env(AS_RUSTDOC, "rustdoc");
    doc.env("RUSTDOCFLAGS", flags);
    Ok(doc)
}

/// The documentation of the whole workspace, with the features that items need as on docs.rs.
/// Warnings fail.
pub(crate) fn check() -> Result<(), String> {
    let mut docs = doc("--cfg docsrs --deny warnings")?;
    step("docs", docs.arg("--workspace"))
}
