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

use self::server::{Server, Work};

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
    println!(
        "\n{}, {over} times the capacity offered, deadline {:?}\n{:<32}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}",
        work.name(),
        work.deadline(),
        "",
        "capacity",
        "goodput",
        "p50 ms",
        "p99 ms",
        "refused",
        "late",
        "failed"
    );
    let bare = Server::start(contenders::bare(work))?;
    let mut table = Map::new();
    for (name, router) in contenders::all(work) {
        // Just before, and by the same machine: it may have other things to do.
        let capacity = generator::capacity(bare.addr, work)?;
        let server = Server::start(router)?;
        let seen = generator::open_loop(&server, capacity * over, time, work.deadline())?;
        let in_time = seen.in_time.len() as f64;
        let goodput = match work.processor() {
            None => in_time / time.as_secs_f64() / capacity,
            // Of what the server's thread was given of the processor, which is not always all of it.
            Some(each) => in_time * each.as_secs_f64() / seen.used.as_secs_f64(),
        };
        let (p50, p99) = (seen.quantile(0.5), seen.quantile(0.99));
        let share = |count: u64| count as f64 / seen.sent as f64;
        let (refused, late, failed) = (share(seen.refused), share(seen.late), share(seen.failed));
        println!(
            "{name:<32}{capacity:>10.0}{goodput:>10.3}{p50:>10.1}{p99:>10.1}{refused:>10.3}{late:>10.3}{failed:>10.3}"
        );
        let entry = json!({
            "capacity": capacity,
            "goodput": goodput,
            "p50_ms": p50,
            "p99_ms": p99,
            "refused": refused,
            "late": late,
            "failed": failed,
        });
        table.insert(name.to_owned(), entry);
    }
    Ok(table)
}
