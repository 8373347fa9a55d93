//! The bounded queue, the hub and their peers: items per second, nanoseconds, and items lost on cancel.
#![forbid(unsafe_code)]
// The output of this program is its result.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod channel;
mod contenders;
mod hub;
mod report;
mod single;
mod throughput;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use lexopt::prelude::*;

use crate::{
    contenders::each_channel,
    report::Row,
    throughput::{Contender, contender},
};

const USAGE: &str = "\
The bounded queue, the hub and their peers: on two workers, single operations, and cancellation.

  cargo run --release -p benches --bin streams [-- OPTIONS]

  --json PATH   writes the figures for programs
  --only TEXT   cases and contenders, as in the table with one space between, that contain it
  --quick       checks that everything runs; the figures are not meaningful
";

/// How much is measured.
struct Size {
    rounds: usize,
    items: u64,
    calls: u64,
    cancelled: u64,
}

const FULL: Size = Size {
    rounds: 21,
    items: 400_000,
    calls: 200_000,
    cancelled: 20_000,
};
const QUICK: Size = Size {
    rounds: 1,
    items: 20_000,
    calls: 2_000,
    cancelled: 2_000,
};

/// The async cases, with the number of their producers.
const CASES: [(&str, u64); 2] = [("queue/block/1p", 1), ("queue/block/4p", 4)];

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let (mut size, mut json, mut only) = (FULL, None, String::new());
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next().map_err(|error| error.to_string())? {
        let text = |error: lexopt::Error| error.to_string();
        match arg {
            Long("quick") => size = QUICK,
            Long("json") => json = Some(PathBuf::from(args.value().map_err(text)?)),
            Long("only") => only = args.value().map_err(text)?.to_string_lossy().into_owned(),
            Long("help") | Short('h') => {
                print!("{USAGE}");
                return Ok(());
            }
            _ => return Err(arg.unexpected().to_string()),
        }
    }
    // Peers that spin find out that there are only two workers.
    crossfire::detect_backoff_cfg();
    let mut contenders = Vec::from(each_channel!(contender));
    let selected = |case: &str, contender: &str| format!("{case} {contender}").contains(&only);
    contenders.retain(|one| CASES.iter().any(|(case, _)| selected(case, one.name)));
    let mut rows = through_channels(&contenders, &size)?;
    rows.retain(|row| selected(&row.case, &row.contender));
    let mut singles = single::all();
    singles.retain(|one| selected(one.case, one.contender));
    single::race(&mut singles, size.rounds, size.calls);
    let singles = singles.iter();
    rows.extend(singles.map(|one| Row::new(one.case, one.contender, one.ns, None)));
    rows.extend(hub::race(size.rounds, selected)?);
    report::print(&rows);
    report::print_bars(&rows, hub::idle_subscriber_bytes());
    match json {
        Some(path) => report::write_json(&rows, &path).map_err(|error| error.to_string()),
        None => Ok(()),
    }
}

/// The async cases: the best round of each contender, beside what it loses.
fn through_channels(contenders: &[Contender], size: &Size) -> Result<Vec<Row>, String> {
    let cancelled: Vec<_> = contenders
        .iter()
        .map(|contender| (contender.cancel)(size.cancelled))
        .collect();
    let mut rows = Vec::new();
    for (case, producers) in CASES {
        let mut best = vec![Duration::MAX; contenders.len()];
        for _ in 0..size.rounds {
            for (contender, best) in contenders.iter().zip(&mut best) {
                *best = (contender.run)(producers, size.items / producers)?.min(*best);
            }
        }
        for ((contender, best), cancelled) in contenders.iter().zip(best).zip(&cancelled) {
            let ns = best.as_nanos() as f64 / size.items as f64;
            rows.push(Row::new(case, contender.name, ns, Some(*cancelled)));
        }
    }
    Ok(rows)
}
