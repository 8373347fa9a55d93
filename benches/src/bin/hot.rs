//! One concurrency limit that two threads use at the same time: Plimsoll's and its peers'.
#![forbid(unsafe_code)]
// The output of this program is its result.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::{hint::black_box, process::ExitCode, sync::Arc, time::Duration};

use benches::{
    cases,
    contention::{Ends, Entrant, race},
    driver::{Apart, Driver, End, Tally},
};
use lexopt::prelude::*;
use plimsoll_concurrency::ConcurrencyLimit;
use plimsoll_core::{Class, Outcome, Policy, policy::Verdict};
use tokio::{sync::Semaphore, time::Instant};

const USAGE: &str = "\
One concurrency limit on one thread and on two, each in a loop of admission and end.

  cargo run --release -p benches --bin hot [-- OPTIONS]

  --quick   checks that everything runs; the figures are not meaningful
";

/// The latency that each call reports, from which an adaptive limit estimates its limit.
const TOOK: Duration = Duration::from_micros(100);
/// More slots than two threads can use.
const AMPLE: usize = 1024;
/// The services that limit concurrency, by the prefixes of their cases' names.
const SERVICES: [&str; 3] = [
    "plimsoll/concurrency@",
    "tower/load-shed+concurrency-limit@",
    "tower-resilience/bulkhead@",
];
const FIXED: &str = "policy, admit and finish: plimsoll fixed";
const ADAPTIVE: &str = "policy, admit and finish: plimsoll adaptive";
const CONTROL: &str = "an empty loop";
/// Variation between runs, as a share.
const NOISE: f64 = 0.02;

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
    let (mut rounds, mut turn) = (25, Duration::from_millis(5));
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next().map_err(|error| error.to_string())? {
        match arg {
            Long("quick") => (rounds, turn) = (2, Duration::from_millis(1)),
            Long("help") | Short('h') => {
                print!("{USAGE}");
                return Ok(());
            }
            _ => return Err(arg.unexpected().to_string()),
        }
    }
    let mut entrants = entrants();
    race(&mut entrants, rounds, turn)?;
    println!(
        "million calls per second and thread, median round of those in which no thread waited for a processor\n{:<56}{:>12}{:>12}{:>14}{:>16}",
        "", "one thread", "two threads", "two over one", "rounds of two"
    );
    for entrant in &entrants {
        let [one, two] = [0, 1].map(|threads| entrant.per_second(threads) / 1e6);
        println!(
            "{:<56}{one:>12.2}{two:>12.2}{:>14.2}{:>16}",
            entrant.name,
            entrant.ratio(),
            entrant.undisturbed()
        );
    }
    println!("\none hot limit on two threads at least as fast per thread as on one:");
    for name in [FIXED, ADAPTIVE] {
        let [ours, control] = [name, CONTROL].map(|name| ratio(&entrants, name));
        let status = match (ours, control) {
            (Some(ours), _) if ours >= 1.0 - NOISE => "holds",
            // The control shows what this machine does to any program on two threads.
            (Some(ours), Some(control)) if ours >= control - NOISE => "UNCLEAR",
            (Some(_), Some(_)) => "MISSED",
            _ => "NOT MEASURED",
        };
        let [ours, control] = [ours, control].map(|ratio| match ratio {
            Some(ratio) => format!("{ratio:.2}"),
            None => "-".to_owned(),
        });
        println!("{status:<12} {ours:>4} (an empty loop: {control})  {name}");
    }
    Ok(())
}

/// The ratio of two threads to one, if it was measured.
fn ratio(entrants: &[Entrant], name: &str) -> Option<f64> {
    let entrant = entrants.iter().find(|entrant| entrant.name == name)?;
    entrant.was_measured().then(|| entrant.ratio())
}

fn entrants() -> Vec<Entrant> {
    let fixed = ConcurrencyLimit::new(AMPLE).expect("a limit within bounds");
    let mut all = vec![
        Entrant::accepting(CONTROL, drivers(|| || true)),
        Entrant::accepting(FIXED, plimsoll(fixed)),
        Entrant::accepting(ADAPTIVE, plimsoll(ConcurrencyLimit::adaptive())),
        Entrant::accepting(
            "tokio's semaphore, as tower holds it: owned permits",
            semaphore(),
        ),
    ];
    for case in cases::all("@accept") {
        if SERVICES.iter().any(|who| case.name.starts_with(who)) {
            let name = format!("service: {}", case.name);
            all.push(Entrant::new(&name, Ends::All(case.end()), case.drivers(2)));
        }
    }
    all
}

/// Two drivers that share only what the closures of `make` share.
fn drivers<F: FnMut() -> bool + Send + 'static>(make: impl Fn() -> F) -> Vec<Driver> {
    let driver = |admits: F| -> Driver {
        let mut own = Apart(admits);
        Box::new(move |calls| {
            let Apart(admits) = &mut own;
            let mut tally = Tally::default();
            for _ in 0..calls {
                tally.count(if black_box(admits()) {
                    End::Accepted
                } else {
                    End::Refused
                });
            }
            tally
        })
    };
    vec![driver(make()), driver(make())]
}

fn plimsoll(limit: ConcurrencyLimit) -> Vec<Driver> {
    let limit = Arc::new(limit);
    drivers(|| {
        let limit = Arc::clone(&limit);
        let mut now = Instant::now();
        let mut calls = 0_u32;
        move || {
            // Performance: time advances for a sampler, but so seldom that the clock read is not
            // part of the figure.
            calls = calls.wrapping_add(1);
            if calls.is_multiple_of(256) {
                now = Instant::now();
            }
            match limit.admit(&mut (), black_box(now)) {
                Verdict::Admit(permit) => {
                    let outcome = Outcome::new(Class::Success, TOOK, now);
                    Policy::<()>::finish(&*limit, permit, black_box(&outcome));
                    true
                }
                Verdict::Reject(_) | Verdict::Wait(_) => false,
            }
        }
    })
}

fn semaphore() -> Vec<Driver> {
    let semaphore = Arc::new(Semaphore::new(AMPLE));
    drivers(|| {
        let semaphore = Arc::clone(&semaphore);
        move || Arc::clone(&semaphore).try_acquire_owned().is_ok()
    })
}
