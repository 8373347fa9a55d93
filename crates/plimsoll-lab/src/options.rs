//! The command line.

use std::{path::PathBuf, sync::atomic::Ordering::Relaxed};

use lexopt::{Parser, prelude::*};

use crate::contender::{self, Contender};

/// Printed without arguments, or with `--help`.
pub(crate) const HELP: &str = "\
A virtual-time laboratory for overload.

plimsoll-lab list                 scenarios and contenders
plimsoll-lab sensitivity          the effect of halving and doubling each number of `adaptive`
plimsoll-lab run SCENARIO|all     a scenario of the lab, or a file (see scenarios/README.md)
    --contender NAME   only this contender; may be repeated
    --point TEXT       only points whose name contains TEXT
    --seed N           seed of the first run (1)
    --seeds N          runs per point, of which the mean is printed (1)
    --threads N        points at a time (the number of cores)
    --quick            the short form: fewer requests, no large points
    --tune NAME=VALUE  another value for a number of `adaptive`; may be repeated
    --windows          prints each window and change of `adaptive` to standard error
    --record PATH      writes each window and change of `adaptive`, for its replay test
    --trace PATH       arrivals from this file
    --json PATH        writes the results for programs
    --svg DIR          writes a chart of each scenario
    --check            fails when `adaptive` misses a bar";

/// The command of the command line.
pub(crate) enum Command {
    Help,
    List,
    Sensitivity(Options),
    Run(Options),
}

/// The options of a run.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) scenario: String,
    pub(crate) contenders: Vec<&'static Contender>,
    pub(crate) point: String,
    pub(crate) seed: u64,
    pub(crate) seeds: u64,
    pub(crate) threads: usize,
    pub(crate) quick: bool,
    pub(crate) trace: Option<PathBuf>,
    pub(crate) json: Option<PathBuf>,
    pub(crate) svg: Option<PathBuf>,
    pub(crate) check: bool,
}

/// Reads the arguments.
pub(crate) fn read() -> Result<Command, lexopt::Error> {
    let mut parser = Parser::from_env();
    let mut words = Vec::new();
    let mut options = Options {
        seed: 1,
        threads: std::thread::available_parallelism().map_or(1, usize::from),
        ..Options::default()
    };
    while let Some(arg) = parser.next()? {
        match arg {
            Long("contender") => {
                let name = parser.value()?.string()?;
                let known = contender::ALL.iter().find(|known| known.name == name);
                let unknown = || format!("no contender {name}: see `list`");
                options.contenders.push(known.ok_or_else(unknown)?);
            }
            Long("point") => options.point = parser.value()?.string()?,
            Long("seed") => options.seed = parser.value()?.parse()?,
            Long("seeds") => options.seeds = parser.value()?.parse()?,
            Long("threads") => options.threads = parser.value()?.parse::<usize>()?.max(1),
            Long("quick") => options.quick = true,
            Long("windows") => contender::PRINT_WINDOWS.store(true, Relaxed),
            Long("tune") => {
                let text = parser.value()?.string()?;
                let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
                let value = value.parse().map_err(|_| format!("{text}: no number"))?;
                let tuning = contender::tuning().with(name, value);
                contender::tune(&tuning.map_err(|wrong| wrong.to_string())?);
            }
            Long("record") => {
                let path = PathBuf::from(parser.value()?);
                contender::record(&path).map_err(|e| format!("{}: {e}", path.display()))?;
            }
            Long("trace") => options.trace = Some(parser.value()?.into()),
            Long("json") => options.json = Some(parser.value()?.into()),
            Long("svg") => options.svg = Some(parser.value()?.into()),
            Long("check") => options.check = true,
            Long("help") | Short('h') => return Ok(Command::Help),
            Value(word) => words.push(word.string()?),
            _ => return Err(arg.unexpected()),
        }
    }
    if options.contenders.is_empty() {
        options.contenders = contender::ALL.iter().collect();
    }
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => Ok(Command::Help),
        ["list"] => Ok(Command::List),
        ["sensitivity"] => Ok(Command::Sensitivity(options)),
        ["run", scenario] => {
            options.scenario = (*scenario).into();
            Ok(Command::Run(options))
        }
        _ => Err("expected `list` or `run SCENARIO`".into()),
    }
}
