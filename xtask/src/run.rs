//! Runs commands and reports their time.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Mutex,
    time::Instant,
};

/// The steps that ran, with their seconds.
static TIMES: Mutex<Vec<(String, f64)>> = Mutex::new(Vec::new());

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
    timed(what, || {
        let status = command
            .current_dir(root())
            .status()
            .map_err(|error| format!("{what}: could not run {}: {error}", line(command)))?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("{what} failed ({status}): {}", line(command)))
        }
    })
}

/// Runs a step and keeps its time for [`print_times`].
pub(crate) fn timed(what: &str, run: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    let start = Instant::now();
    let result = run();
    let seconds = start.elapsed().as_secs_f64();
    let outcome = if result.is_ok() { "passed" } else { "failed" };
    println!("==> {what}: {outcome} after {seconds:.0} s");
    let mut times = TIMES.lock().expect("no thread panics with the lock");
    times.push((what.to_owned(), seconds));
    result
}

/// Prints each step's time, and the sum.
pub(crate) fn print_times() {
    let times = TIMES.lock().expect("no thread panics with the lock");
    println!("==> seconds of each step:");
    for (what, seconds) in &*times {
        println!("{seconds:8.0}  {what}");
    }
    let sum: f64 = times.iter().map(|(_, seconds)| seconds).sum();
    println!("{sum:8.0}  in all");
}

/// Runs a command for its output, and fails with what it printed as errors.
pub(crate) fn output(command: &mut Command) -> Result<String, String> {
    let output = command
        .current_dir(root())
        .output()
        .map_err(|error| format!("could not run {}: {error}", line(command)))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        let errors = String::from_utf8_lossy(&output.stderr);
        Err(format!("{}: {}\n{errors}", line(command), output.status))
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
    let name = match probe {
        [subcommand, _] if program == "cargo" => format!("cargo-{subcommand}"),
        _ => program.to_owned(),
    };
    println!("==> {name} is missing");
    step(&format!("installing {name}"), install)
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
