//! A virtual-time laboratory for overload: the real crates, and their peers, in front of simulated
//! servers.
//!
//! `scenarios/README.md` explains how to describe another service.
#![deny(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod arrival;
mod backend;
mod bench;
mod caller;
mod check;
mod clock;
mod contender;
mod fits;
mod law;
mod library;
mod measure;
mod options;
mod oracle;
mod point;
mod random;
mod run;
mod scenario;
mod schedule;
mod score;
mod sensitivity;
mod svg;
mod table;
#[cfg(test)]
mod theory;
mod timeline;
mod trace;
mod world;

use std::{collections::HashSet, fs, panic, path::Path, process::ExitCode, sync::Mutex};

use options::{Command, Options};

/// Arrivals of a point above which the short form leaves it out.
const LARGE: f64 = 500_000.0;

fn main() -> ExitCode {
    quiet_panics();
    let done = match options::read() {
        Ok(Command::Help) => {
            println!("{}", options::HELP);
            Ok(())
        }
        Ok(Command::List) => list(),
        Ok(Command::Sensitivity(options)) => sensitivity::print(&options),
        Ok(Command::Run(options)) => run_scenarios(&options),
        Err(wrong) => Err(wrong.to_string()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(wrong) => {
            eprintln!("{wrong}");
            ExitCode::FAILURE
        }
    }
}

/// Prints each kind of panic once: some contenders panic thousands of times.
fn quiet_panics() {
    let printed = Mutex::new(HashSet::new());
    panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map(ToString::to_string);
        if printed
            .lock()
            .is_ok_and(|mut printed| printed.insert(place))
        {
            eprintln!("a request's task panicked (printed once): {panic}");
        }
    }));
}

fn list() -> Result<(), String> {
    println!("Scenarios");
    for (name, text) in library::BUILT_IN {
        println!("  {name:22} {}", library::read(name, text)?.about);
    }
    println!("\nContenders");
    for contender in contender::ALL {
        println!("  {:25} {}", contender.name, contender.about);
    }
    Ok(())
}

fn run_scenarios(options: &Options) -> Result<(), String> {
    let began = clock::real_seconds();
    let mut rows = Vec::new();
    for scenario in library::find(&options.scenario, options.trace.as_deref())? {
        let mut points = point::points(&scenario, options.quick);
        points.retain(|point| point.name.contains(&options.point));
        points.retain(|point| !options.quick || point.arrivals() <= LARGE);
        let done = bench::run_all(&points, options);
        table::print(&scenario.about, &done);
        if let (Some(folder), Some(chart)) = (&options.svg, svg::chart(&scenario, &done)) {
            let path = folder.join(format!("{}.svg", scenario.name));
            write(&path, &chart)?;
        }
        rows.extend(done);
    }
    table::summary(&rows, &options.contenders);
    println!("\n{:.0} s", clock::real_seconds() - began);
    if let Some(path) = &options.json {
        let text = serde_json::to_string_pretty(&rows).map_err(|e| e.to_string())?;
        write(path, &text)?;
    }
    if !options.check {
        return Ok(());
    }
    let mut missed = check::check(&rows, options.quick);
    if options.scenario == "all" {
        missed += usize::from(check::check_random(&random_rows(options)?));
        missed += usize::from(check::check_ramp(&outage_rows(options)?));
    }
    match missed {
        0 => Ok(()),
        missed => Err(format!("{missed} bars missed")),
    }
}

/// The results of `adaptive` in the random scenarios.
fn random_rows(options: &Options) -> Result<Vec<score::Row>, String> {
    rows_of("random", &["adaptive"], options)
}

/// The results of breakers after an outage.
fn outage_rows(options: &Options) -> Result<Vec<score::Row>, String> {
    rows_of("outage", &["breaker", "breaker-no-ramp"], options)
}

fn rows_of(scenario: &str, who: &[&str], options: &Options) -> Result<Vec<score::Row>, String> {
    let named = |contender: &&'static contender::Contender| who.contains(&contender.name);
    let options = Options {
        contenders: contender::ALL.iter().filter(named).collect(),
        seed: options.seed,
        threads: options.threads,
        ..Options::default()
    };
    let scenarios = library::find(scenario, None)?;
    let points = scenarios
        .iter()
        .map(|scenario| point::points(scenario, false));
    let points: Vec<_> = points.flatten().collect();
    Ok(bench::run_all(&points, &options))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let made = fs::create_dir_all(folder).and_then(|()| fs::write(path, text));
    made.map_err(|e| format!("{}: {e}", path.display()))
}
