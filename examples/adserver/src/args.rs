//! The command line.

use std::{net::SocketAddr, path::PathBuf};

use lexopt::{Arg, Parser, ValueExt};

const HELP: &str = "\
An ad server under an overload of real HTTP requests, with and without Plimsoll.

  cargo run --release -p adserver [-- OPTIONS]

Options:
  --seconds N       length of each phase (default 6; of a trace's replay 30)
  --phases A,B,..   only these: warm-up, 1x, 3x, 10x, after 10x, slow bidder, recovery
  --json PATH       write the figures as JSON
  --report PATH     where to write the HTML report (default ./adserver-report.html)
  --trace FILE      replay arrivals from an access log (common or combined) or a CSV with a timestamp column;
                    the sum of its other columns is the cost of a request
  --speed X         recorded seconds that pass in one (default: so that the trace fits)
  --seed N          the seed of all random choices (default 1)
  --serve           run the phases against the protected server again and again, until Ctrl-C; it serves a board,
                    /metrics and /health/load
  --rounds N        with --serve: stop the load after N rounds; --json then has the totals of the last round
  -h, --help        this text
";

/// A command.
#[derive(Debug)]
pub(crate) enum Command {
    Help,
    Main(Options),
    /// Runs one of the parts. Used by the main process.
    Part(Part),
}

/// The options of the main process.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) seconds: Option<f64>,
    pub(crate) phases: Option<Vec<String>>,
    pub(crate) json: Option<PathBuf>,
    pub(crate) report: PathBuf,
    pub(crate) trace: Option<PathBuf>,
    pub(crate) speed: Option<f64>,
    pub(crate) seed: u64,
    pub(crate) serve: bool,
    pub(crate) rounds: Option<u32>,
}

/// A part and its arguments, as the main process sets them.
#[derive(Debug, Default)]
pub(crate) struct Part {
    pub(crate) role: String,
    pub(crate) store: Option<SocketAddr>,
    pub(crate) bidders: Vec<SocketAddr>,
    pub(crate) log: Option<PathBuf>,
    pub(crate) capacity: Option<f64>,
}

/// Returns the help text.
pub(crate) const fn help() -> &'static str {
    HELP
}

/// Reads the command line.
pub(crate) fn parse(mut parser: Parser) -> Result<Command, lexopt::Error> {
    let mut options = Options {
        seconds: None,
        phases: None,
        json: None,
        report: PathBuf::from("adserver-report.html"),
        trace: None,
        speed: None,
        seed: 1,
        serve: false,
        rounds: None,
    };
    let mut part = Part::default();
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            Arg::Long("seconds") => {
                options.seconds = Some(positive("--seconds", 3_600.0, &mut parser)?);
            }
            Arg::Long("phases") => {
                let names = parser.value()?.string()?;
                options.phases = Some(
                    names
                        .split(',')
                        .map(|name| name.trim().to_owned())
                        .collect(),
                );
            }
            Arg::Long("json") => options.json = Some(parser.value()?.into()),
            Arg::Long("report") => options.report = parser.value()?.into(),
            Arg::Long("trace") => options.trace = Some(parser.value()?.into()),
            Arg::Long("speed") => options.speed = Some(positive("--speed", 1e9, &mut parser)?),
            Arg::Long("seed") => options.seed = parser.value()?.parse()?,
            Arg::Long("serve") => options.serve = true,
            Arg::Long("rounds") => options.rounds = Some(parser.value()?.parse()?),
            Arg::Long("role") => part.role = parser.value()?.string()?,
            Arg::Long("store") => part.store = Some(parser.value()?.parse()?),
            Arg::Long("bidder") => part.bidders.push(parser.value()?.parse()?),
            Arg::Long("log") => part.log = Some(parser.value()?.into()),
            Arg::Long("capacity") => {
                part.capacity = Some(positive("--capacity", 1e9, &mut parser)?);
            }
            _ => return Err(arg.unexpected()),
        }
    }
    if !part.role.is_empty() {
        return Ok(Command::Part(part));
    }
    if options.speed.is_some() && options.trace.is_none() {
        return Err("--speed is the speed of a --trace".into());
    }
    if options.rounds.is_some() && !options.serve {
        return Err("--rounds is the number of rounds of --serve".into());
    }
    if options.phases.is_some() && options.trace.is_some() {
        return Err("--trace has one phase, the replay: leave out --phases".into());
    }
    Ok(Command::Main(options))
}

/// Reads a number above 0 and at most `most`.
fn positive(name: &str, most: f64, parser: &mut Parser) -> Result<f64, lexopt::Error> {
    let number: f64 = parser.value()?.parse()?;
    if number > 0.0 && number <= most {
        Ok(number)
    } else {
        Err(format!("{name} is {number}, but must be above 0 and at most {most}").into())
    }
}
