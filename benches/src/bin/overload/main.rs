//! What is left of a real axum server's capacity when five times as much is asked of it, over loopback.
#![forbid(unsafe_code)]
// This program exists to print figures, and nothing else imports its modules.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    unreachable_pub,
    missing_docs
)]

mod contenders;
mod generator;
mod refusal;
mod server;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use lexopt::prelude::*;
use serde_json::{Map, json};

use self::server::Work;

const USAGE: &str = "\
Goodput of a real axum server at a multiple of its capacity, and what a refusal costs it.

  cargo run --release -p benches --bin overload [-- OPTIONS]

  --over N      times the capacity that is offered (5)
  --seconds N   how long each is measured, after a second of warming up (4)
  --json PATH   also writes the figures to PATH
";

/// Why nothing was measured.
pub type Failed = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Failed> {
    let (mut over, mut seconds, mut path) = (5.0, 4, None::<PathBuf>);
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Long("over") => over = args.value()?.parse()?,
            Long("seconds") => seconds = args.value()?.parse()?,
            Long("json") => path = Some(args.value()?.into()),
            Long("help") | Short('h') => {
                print!("{USAGE}");
                return Ok(());
            }
            _ => return Err(arg.unexpected().into()),
        }
    }
    let mut figures = Map::new();
    for work in [Work::SLEEPS, Work::SPINS] {
        let table = goodput(work, over, Duration::from_secs(seconds))?;
        figures.insert(work.name().to_owned(), table.into());
    }
    figures.insert("refusal".to_owned(), refusal::run()?);
    if let Some(path) = path {
        serde_json::to_writer_pretty(std::fs::File::create(path)?, &figures)?;
    }
    Ok(())
}

/// Every contender's goodput in front of this work.
fn goodput(
    work: Work,
    over: f64,
    time: Duration,
) -> Result<Map<String, serde_json::Value>, Failed> {
    let bare = server::start(contenders::bare(work))?;
    let capacity = generator::capacity(bare, work)?;
    let rate = capacity * over;
    println!(
        "\n{}: {capacity:.0} answers a second at most, {rate:.0} requests a second offered, deadline {:?}\n{:<32}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}",
        work.name(),
        work.deadline(),
        "",
        "goodput",
        "p50 ms",
        "p99 ms",
        "refused",
        "late",
        "failed"
    );
    let mut table = Map::new();
    for (name, router) in contenders::all(work) {
        let addr = server::start(router)?;
        let seen = generator::open_loop(addr, rate, time, work.deadline())?;
        let goodput = seen.in_time.len() as f64 / time.as_secs_f64() / capacity;
        let (p50, p99) = (seen.quantile(0.5), seen.quantile(0.99));
        let share = |count: u64| count as f64 / seen.sent as f64;
        println!(
            "{name:<32}{goodput:>10.3}{p50:>10.1}{p99:>10.1}{:>10.3}{:>10.3}{:>10.3}",
            share(seen.refused),
            share(seen.late),
            share(seen.failed)
        );
        let entry = json!({
            "goodput": goodput,
            "p50_ms": p50,
            "p99_ms": p99,
            "refused": share(seen.refused),
            "late": share(seen.late),
            "failed": share(seen.failed),
        });
        table.insert(name.to_owned(), entry);
    }
    Ok(table)
}
