//! Runs commands and reports their time.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

/// The folder of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask is in the workspace")
        .to_owned()
}

/// Runs a step of CI, and fails with its command.
pub(crate) fn step(what: &str, command: &mut Command) -> Result<(), String> {
    println!("==> {what}: {}", line(command));
    let start = Instant::now();
    let status = command
        .current_dir(root())
        .status()
        .map_err(|error| format!("{what}: could not run {}: {error}", line(command)))?;
    println!(
        "==> {what}: {} after {:.0} s",
        status,
        start.elapsed().as_secs_f64()
    );
    if status.success() {
        Ok(())
    } else {
        Err(format!("{what} failed: {}", line(command)))
    }
}

/// `cargo` with these arguments.
pub(crate) fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args);
    command
}

/// Installs a program if it is missing.
pub(crate) fn need(program: &str, probe: &[&str], install: &mut Command) -> Result<(), String> {
    let mut check = Command::new(program);
    check
        .args(probe)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if check.status().is_ok_and(|status| status.success()) {
        return Ok(());
    }
    println!("==> {program} is missing");
    step(&format!("installing {program}"), install)
}

fn line(command: &Command) -> String {
    let mut line = String::new();
    for (name, value) in command.get_envs() {
        if let (Some(name), Some(value)) = (name.to_str(), value.and_then(|value| value.to_str())) {
            line.extend([name, "=", value, " "]);
        }
    }
    line.push_str(&command.get_program().to_string_lossy());
    for arg in command.get_args() {
        line.push(' ');
        line.push_str(&arg.to_string_lossy());
    }
    line
}
