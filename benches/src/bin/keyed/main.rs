//! The cost of a rate limiter's decision: time, memory, contention, the worst case, and rejections
//! over HTTP.
#![forbid(unsafe_code)]
// The output of this program is its result, and no other program imports its modules.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    unreachable_pub,
    missing_docs
)]

mod decide;
mod http;
mod keys;
mod limits;
mod memory;
mod report;
mod scale;
mod threads;
mod worst;

use std::{path::PathBuf, process::ExitCode};

use lexopt::prelude::*;

use self::{report::Report, scale::Scale};

const USAGE: &str = "\
Measures rate limiters: Plimsoll's and its peers', in the same run.

  cargo run --release -p benches --bin keyed [-- OPTIONS]

  --json PATH      also writes the figures to PATH
  --only SECTION   only this section: decide, memory, threads, worst, http; can be repeated
  --quick          seconds instead of minutes, checks that everything runs; the figures are not meaningful
";

/// An error of a measurement.
pub type Failed = Box<dyn std::error::Error + Send + Sync>;
type Section = (&'static str, fn(Scale, &mut Report) -> Result<(), Failed>);

const SECTIONS: [Section; 5] = [
    ("decide", |scale, report| Ok(decide::run(scale, report)?)),
    ("memory", memory::run),
    ("threads", |scale, report| Ok(threads::run(scale, report)?)),
    ("worst", |scale, report| Ok(worst::run(scale, report)?)),
    ("http", http::run),
];

/// The task on the command line.
enum Task {
    Help,
    Measure {
        store: String,
        keys: usize,
    },
    Report {
        only: Vec<String>,
        scale: Scale,
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
    let (mut only, mut scale, mut json) = (Vec::new(), Scale::FULL, None);
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Long("help") | Short('h') => return Ok(Task::Help),
            Long(flag) if memory::MEASURE.strip_prefix("--") == Some(flag) => {
                return Ok(Task::Measure {
                    store: args.value()?.string()?,
                    keys: args.value()?.parse()?,
                });
            }
            Long("json") => json = Some(args.value()?.into()),
            Long("only") => {
                let section = args.value()?.string()?;
                if !SECTIONS.iter().any(|(name, _)| *name == section) {
                    return Err(format!("there is no section `{section}`").into());
                }
                only.push(section);
            }
            Long("quick") => scale = Scale::QUICK,
            _ => return Err(arg.unexpected()),
        }
    }
    Ok(Task::Report { only, scale, json })
}

fn run(task: Task) -> Result<(), Failed> {
    match task {
        Task::Help => print!("{USAGE}"),
        Task::Measure { store, keys } => {
            let held = memory::measured(&store, keys)?;
            println!("{}", serde_json::to_string(&held)?);
        }
        Task::Report { only, scale, json } => {
            let mut report = Report::default();
            for (name, section) in SECTIONS {
                if only.is_empty() || only.iter().any(|only| only == name) {
                    section(scale, &mut report)?;
                }
            }
            report.print();
            if let Some(path) = json {
                report.write_json(&path)?;
            }
        }
    }
    Ok(())
}
