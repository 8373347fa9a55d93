//! Counts instructions and allocations per call under callgrind, beside wall time.
#![forbid(unsafe_code)]
// The output of this program is its result.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::{
    path::PathBuf,
    process::{Command, ExitCode, Stdio},
};

use benches::{
    bars,
    callgrind::{self, MEASURE},
    cases, held, report, wall,
};
use lexopt::prelude::*;

const USAGE: &str = "\
Counts instructions, allocations and nanoseconds per call, beside the bare service.

  cargo run --release -p benches --bin instructions [-- OPTIONS]

  --check          only compares the counts that CI checks with their limits, without times
  --json PATH      also writes the figures to PATH
  --only TEXT      only cases whose name contains TEXT
  --rounds N       rounds of wall time [30]
  --annotate CASE  shows the functions in which CASE spends its instructions, and nothing else
";

/// The task on the command line.
enum Task {
    Help,
    Measure {
        case: String,
        calls: u64,
    },
    Annotate {
        case: String,
    },
    Check,
    Report {
        only: String,
        rounds: usize,
        json: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    match task().map_err(Into::into).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn task() -> Result<Task, lexopt::Error> {
    let (mut only, mut rounds, mut json) = (String::new(), 30, None);
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Long("help") | Short('h') => return Ok(Task::Help),
            Long(flag) if MEASURE.strip_prefix("--") == Some(flag) => {
                return Ok(Task::Measure {
                    case: args.value()?.string()?,
                    calls: args.value()?.parse()?,
                });
            }
            Long("annotate") => {
                return Ok(Task::Annotate {
                    case: args.value()?.string()?,
                });
            }
            Long("check") => return Ok(Task::Check),
            Long("only") => only = args.value()?.string()?,
            Long("rounds") => rounds = args.value()?.parse()?,
            Long("json") => json = Some(args.value()?.into()),
            _ => return Err(arg.unexpected()),
        }
    }
    Ok(Task::Report { only, rounds, json })
}

fn run(task: Task) -> Result<(), Box<dyn std::error::Error>> {
    match task {
        Task::Help => print!("{USAGE}"),
        Task::Measure { case, calls } => callgrind::measured(&case, calls)?,
        Task::Annotate { case } => {
            find_valgrind()?;
            println!("{}", callgrind::annotate(&case)?);
        }
        Task::Check => {
            find_valgrind()?;
            let missed = held::check()?;
            if !missed.is_empty() {
                return Err(format!("more instructions than before: {}", missed.join(", ")).into());
            }
        }
        Task::Report { only, rounds, json } => {
            find_valgrind()?;
            let cases = cases::all(&only);
            eprintln!(
                "timing {} cases on one thread and on two, {rounds} rounds",
                cases.len()
            );
            let one = wall::race(&cases, 1, rounds);
            let two = wall::race(&cases, 2, rounds);
            eprintln!("counting instructions under valgrind, two runs of each case");
            let costs = callgrind::count(&cases)?;
            let rows = report::rows(&cases, &costs, &one, &two);
            report::print(&rows);
            println!();
            bars::print(&bars::all(&rows));
            if let Some(path) = json {
                report::write_json(&rows, &path)?;
            }
        }
    }
    Ok(())
}

/// Installs valgrind if it is missing and that is allowed.
fn find_valgrind() -> Result<(), Box<dyn std::error::Error>> {
    if succeeds("valgrind", &["--version"]) {
        return Ok(());
    }
    eprintln!("valgrind is not installed; trying `apt-get install -y valgrind`");
    if succeeds("apt-get", &["install", "-y", "valgrind"]) && succeeds("valgrind", &["--version"]) {
        return Ok(());
    }
    Err("valgrind counts the instructions; it is not installed and could not be installed: install it \
         (`sudo apt-get install valgrind`) and run this again"
        .into())
}

fn succeeds(program: &str, args: &[&str]) -> bool {
    let status = Command::new(program)
        .args(args)
        .stdout(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}
