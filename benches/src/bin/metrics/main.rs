//! What recording costs: Plimsoll's metrics beside their peers.
#![forbid(unsafe_code)]
// The output of this program is its result.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod layers;
mod pairs;
mod recorders;

use std::{
    hint::black_box,
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use benches::{
    cases,
    contention::{Ends, Entrant, race},
};
use lexopt::prelude::*;
use plimsoll_core::{Class, Observe, Outcome};
use plimsoll_metrics::{GateMetrics, Metrics};

const USAGE: &str = "\
What recording a request costs: Plimsoll's metrics beside their peers, the time of a snapshot, and memory.

  cargo run --release -p benches --bin metrics [-- OPTIONS]

  --quick          checks that everything runs; the figures are not meaningful
  --pairs N        only whether recording is slower on two threads, in N pairs of turns
  --repeat NAME N  records N requests with the recorder NAME, and prints nothing: two runs under
                   `valgrind --tool=callgrind` with different N give the instructions per request
";

/// Services, in pairs without and with metrics.
const SERVICES: [&str; 7] = [
    "bare/http",
    "plimsoll/gate@accept",
    "plimsoll/gate-metrics@accept",
    "plimsoll/concurrency@accept",
    "plimsoll/concurrency-metrics@accept",
    "plimsoll/adaptive@accept",
    "plimsoll/adaptive-metrics@accept",
];
/// Gates of the snapshot.
const GATES: usize = 100;
/// The bar for it.
const SNAPSHOT: Duration = Duration::from_millis(5);

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let (mut rounds, mut turn) = (25, Duration::from_millis(5));
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Long("quick") => (rounds, turn) = (2, Duration::from_millis(1)),
            Long("pairs") => {
                let pairs = args.value()?.parse()?;
                return Ok(pairs::print(pairs)?);
            }
            Long("repeat") => {
                let (name, calls) = (args.value()?.string()?, args.value()?.parse()?);
                return repeat(&name, calls);
            }
            Long("help") | Short('h') => {
                print!("{USAGE}");
                return Ok(());
            }
            _ => return Err(arg.unexpected().into()),
        }
    }
    let mut entrants: Vec<_> = recorders::all()
        .into_iter()
        .map(|(name, drivers)| Entrant::accepting(name, drivers))
        .collect();
    for name in SERVICES {
        let services = cases::all(name).into_iter();
        for case in services.filter(|case| case.name == name) {
            let name = format!("service: {}", case.name);
            entrants.push(Entrant::new(&name, Ends::All(case.end()), case.drivers(2)));
        }
    }
    for (name, drivers) in layers::all() {
        entrants.push(Entrant::accepting(name, drivers));
    }
    race(&mut entrants, rounds, turn)?;
    print_times(&entrants);
    println!();
    snapshot();
    memory();
    Ok(())
}

fn repeat(name: &str, calls: u64) -> Result<(), Box<dyn std::error::Error>> {
    let mut recorders = recorders::all().into_iter().chain(layers::all());
    let found = recorders.find(|(recorder, _)| *recorder == name);
    let mut driver = found.and_then(|(_, mut drivers)| drivers.pop());
    let driver = driver.as_mut().ok_or("there is no such recorder")?;
    black_box(driver(calls));
    Ok(())
}

fn print_times(entrants: &[Entrant]) {
    println!(
        "nanoseconds per request and thread, median round of those in which no thread waited for a processor\n{:<56}{:>12}{:>12}{:>14}{:>16}",
        "", "one thread", "two threads", "two over one", "rounds of two"
    );
    for entrant in entrants {
        let [one, two] = [0, 1].map(|threads| 1e9 / entrant.per_second(threads));
        println!(
            "{:<56}{one:>12.1}{two:>12.1}{:>14.2}{:>16}",
            entrant.name,
            two / one,
            entrant.undisturbed()
        );
    }
}

/// Records latencies from 0.1 ms to 1 s, and waits.
fn fill(gate: &GateMetrics) {
    let now = tokio::time::Instant::now();
    for bits in 17..30 {
        for step in 0..128 {
            let latency = Duration::from_nanos((1 << bits) + (step << bits >> 7));
            gate.admitted("edge", latency);
            gate.finished("edge", &Outcome::new(Class::Success, latency, now));
        }
    }
}

fn snapshot() {
    let metrics = Metrics::new();
    for gate in 0..GATES {
        let gate = metrics.gate(format!("gate-{gate}")).every_permit();
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| fill(&gate));
            }
        });
    }
    let best = |read: &dyn Fn()| {
        let timed = |_| {
            let start = Instant::now();
            read();
            start.elapsed()
        };
        (0..50).map(timed).min().unwrap_or_default()
    };
    let taken = best(&|| drop(black_box(metrics.snapshot())));
    let status = if taken < SNAPSHOT { "holds" } else { "MISSED" };
    println!("{status:<8} a snapshot of {GATES} gates, bar {SNAPSHOT:?}: {taken:.2?}, best of 50");
    let scraped = best(&|| drop(black_box(metrics.prometheus())));
    println!("         a scrape of {GATES} gates as text: {scraped:.2?}, best of 50");
}

fn memory() {
    let gate = Metrics::new().gate("edge").every_permit();
    println!("         a gate without requests: {} bytes", gate.bytes());
    fill(&gate);
    println!(
        "         a gate used by one thread, with latencies, waits and permit times from 0.1 ms to 1 s: {} bytes",
        gate.bytes()
    );
}
