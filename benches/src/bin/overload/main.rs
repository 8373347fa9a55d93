//! The goodput of a real axum server at five times its capacity, over loopback.
#![forbid(unsafe_code)]
// The output of this program is its result, and no other program imports its modules.
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

use benches::contention::median;
use lexopt::prelude::{Long, Short, ValueExt as _};
use serde_json::{Map, Value, json};

use self::server::{Server, Work};

const USAGE: &str = "\
Goodput of a real axum server at a multiple of its capacity, and the cost of a rejection.

  cargo run --release -p benches --bin overload [-- OPTIONS]

  --over N      times the capacity that is offered (5)
  --seconds N   how long a turn is measured, after warming up (1)
  --rounds N    turns per contender, without a pause; medians are printed (3)
  --only TEXT   only contenders whose name contains TEXT
  --json PATH   also writes the figures to PATH
";

/// The options on the command line.
struct Options {
    over: f64,
    time: Duration,
    rounds: usize,
    only: String,
}

/// An error of a measurement.
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
    let mut options = Options {
        over: 5.0,
        time: Duration::from_secs(1),
        rounds: 3,
        only: String::new(),
    };
    let mut path = None::<PathBuf>;
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Long("over") => options.over = args.value()?.parse()?,
            Long("seconds") => options.time = Duration::from_secs(args.value()?.parse()?),
            Long("rounds") => options.rounds = args.value()?.parse()?,
            Long("only") => options.only = args.value()?.string()?,
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
        let table = goodput(work, &options)?;
        figures.insert(work.name().to_owned(), table.into());
    }
    figures.insert("refusal".to_owned(), refusal::run()?);
    if let Some(path) = path {
        serde_json::to_writer_pretty(std::fs::File::create(path)?, &figures)?;
    }
    Ok(())
}

/// A contender and its turns.
struct Contender {
    name: &'static str,
    server: Server,
    turns: Vec<Turn>,
}

/// One turn: figures in the order of [`COLUMNS`].
type Turn = [f64; COLUMNS.len()];

const COLUMNS: [&str; 7] = [
    "capacity", "goodput", "p50 ms", "p99 ms", "refused", "late", "failed",
];
/// Index of the goodput in [`COLUMNS`].
const GOODPUT: usize = 1;
/// The goodput that Plimsoll's contenders must reach, as a share of the capacity.
const BAR: f64 = 0.93;

impl Contender {
    /// The capacity is measured just before and after, since the machine may have other work.
    fn turns(&mut self, bare: &Server, work: Work, options: &Options) -> Result<(), Failed> {
        let Options { time, rounds, .. } = *options;
        let before = generator::capacity(bare, work)?;
        let rate = before * options.over;
        let turns = generator::open_loop(&self.server, rate, rounds, time, work.deadline())?;
        let capacity = f64::midpoint(before, generator::capacity(bare, work)?);
        for seen in turns {
            let possible = work.possible(time, seen.away).as_secs_f64();
            let share = |count: u64| count as f64 / seen.sent as f64;
            self.turns.push([
                capacity,
                seen.in_time.len() as f64 / possible / capacity,
                seen.quantile(0.5),
                seen.quantile(0.99),
                share(seen.refused),
                share(seen.late),
                share(seen.failed),
            ]);
        }
        Ok(())
    }

    fn column(&self, column: usize) -> Vec<f64> {
        self.turns.iter().map(|turn| turn[column]).collect()
    }
}

/// The goodput of every contender in front of this work.
fn goodput(work: Work, options: &Options) -> Result<Map<String, Value>, Failed> {
    let bare = Server::start(contenders::bare(work))?;
    let mut contenders = Vec::new();
    for (name, router) in contenders::all(work) {
        if name.contains(&options.only) {
            contenders.push(Contender {
                name,
                server: Server::start(router)?,
                turns: Vec::new(),
            });
        }
    }
    for contender in &mut contenders {
        contender.turns(&bare, work, options)?;
    }
    print!(
        "\n{}, {} times the capacity offered, deadline {:?}, medians of {} turns\n{:<34}",
        work.name(),
        options.over,
        work.deadline(),
        options.rounds,
        ""
    );
    for column in COLUMNS {
        print!("{column:>10}");
    }
    println!("{:>16}", "goodput between");
    let mut table = Map::new();
    for contender in &contenders {
        let medians: Turn = std::array::from_fn(|column| median(contender.column(column)));
        let mut goodput = contender.column(GOODPUT);
        goodput.sort_by(f64::total_cmp);
        let ends = [goodput.first(), goodput.last()].map(|end| end.copied().unwrap_or(f64::NAN));
        print!("{:<34}", contender.name);
        for (column, median) in COLUMNS.iter().zip(medians) {
            let digits = match *column {
                "capacity" => 0,
                "p50 ms" | "p99 ms" => 1,
                _ => 3,
            };
            print!("{median:>10.digits$}");
        }
        let verdict = match contender.name {
            name if !name.starts_with("plimsoll") => "",
            _ if medians[GOODPUT] >= BAR => "  holds",
            _ => "  MISSED",
        };
        println!("{:>9.3}{:>7.3}{verdict}", ends[0], ends[1]);
        let figures = COLUMNS.iter().zip(medians);
        let mut entry: Map<_, _> = figures
            .map(|(column, median)| (column.replace(' ', "_"), json!(median)))
            .collect();
        entry.insert("goodput_between".to_owned(), json!(ends));
        table.insert(contender.name.to_owned(), entry.into());
    }
    Ok(table)
}
