//! One retry budget that two threads use at the same time: Plimsoll's and tower's.
#![forbid(unsafe_code)]
// The output of this program is its result.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::{hint::black_box, process::ExitCode, sync::Arc, time::Duration};

use benches::{
    contention::{Entrant, race},
    driver::{Apart, Driver, End, Tally},
};
use lexopt::prelude::*;
use plimsoll_client::RetryBudget;
use tokio::time::Instant;
use tower::retry::budget::{Budget as _, TpsBudget};

const USAGE: &str = "\
One retry budget on one thread and on two. A decision is a success or a failure with its withdrawal.

  cargo run --release -p benches --bin budget [-- OPTIONS]

  --quick   checks that everything runs; the figures are not meaningful
";

/// Variation between runs, as a share.
const NOISE: f64 = 0.02;
const CONTROL: &str = "an empty loop";

/// Of how many decisions one is a failure: few as in a healthy service, more than the budget pays
/// for, and all as in an outage.
const MIXES: [(&str, u32); 3] = [
    ("1 failure in 20", 20),
    ("1 failure in 5", 5),
    ("all fail", 1),
];

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
        "million decisions per second and thread, median round of those in which no thread waited for a processor\n{:<56}{:>12}{:>12}{:>14}{:>16}",
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
    println!("\none budget on two threads at least as fast per thread as on one:");
    let ratio = |name: &str| {
        let entrant = entrants.iter().find(|entrant| entrant.name == name)?;
        entrant.was_measured().then(|| entrant.ratio())
    };
    for (mix, _) in MIXES {
        let [ours, control] = ["plimsoll, successes", "a budget for each thread"]
            .map(|who| ratio(&format!("{who}: {mix}")));
        let status = match (ours, control) {
            (Some(ours), _) if ours >= 1.0 - NOISE => "holds",
            // The control shows what this machine does to two threads that share nothing.
            (Some(ours), Some(control)) if ours >= control - NOISE => "UNCLEAR",
            (Some(_), Some(_)) => "MISSED",
            _ => "NOT MEASURED",
        };
        let [ours, control] = [ours, control].map(|ratio| match ratio {
            Some(ratio) => format!("{ratio:.2}"),
            None => "-".to_owned(),
        });
        println!("{status:<12} {ours:>4} (a budget for each thread: {control})  {mix}");
    }
    Ok(())
}

fn entrants() -> Vec<Entrant> {
    let mut all = vec![Entrant::accepting(CONTROL, drivers(|| || {}))];
    for (mix, one_in) in MIXES {
        let named = |who: &str| format!("{who}: {mix}");
        for (who, budget) in [
            ("plimsoll, successes", RetryBudget::successes(0.1, 100)),
            ("plimsoll, gRPC A6", RetryBudget::grpc(100, 0.1)),
            (
                "recent, 10 s window",
                RetryBudget::recent(0.1, 10, Duration::from_secs(10)),
            ),
        ] {
            let budget = budget.expect("settings in bounds");
            let name = named(who);
            // gRPC's rule is one count, in which every decision changes the next one.
            let name = name.replace("plimsoll, gRPC", "gRPC");
            all.push(Entrant::accepting(
                &name,
                drivers(|| plimsoll(&budget, one_in)),
            ));
        }
        // What this machine does to the same work without a shared budget.
        let own = drivers(|| {
            let budget = RetryBudget::successes(0.1, 100).expect("settings in bounds");
            plimsoll(&budget, one_in)
        });
        all.push(Entrant::accepting(&named("a budget for each thread"), own));
        let tower = Arc::new(TpsBudget::default());
        let drivers = drivers(|| {
            let (tower, mut n) = (Arc::clone(&tower), 0_u32);
            move || {
                n = n.wrapping_add(1);
                if n.is_multiple_of(one_in) {
                    black_box(tower.withdraw());
                } else {
                    tower.deposit();
                }
            }
        });
        all.push(Entrant::accepting(&named("tower's TpsBudget"), drivers));
    }
    all
}

fn plimsoll(budget: &RetryBudget, one_in: u32) -> impl FnMut() + Send + use<> {
    let (budget, mut n, mut now) = (budget.clone(), 0_u32, Instant::now());
    move || {
        n = n.wrapping_add(1);
        // Time advances, but so seldom that the clock read is not part of the figure.
        if n.is_multiple_of(256) {
            now = Instant::now();
        }
        if n.is_multiple_of(one_in) {
            if let Some(retry) = budget.failure(black_box(now)) {
                retry.spend();
            }
        } else {
            budget.success(black_box(now));
        }
    }
}

/// Two drivers that share only what the closures of `make` share.
fn drivers<F: FnMut() + Send + 'static>(make: impl Fn() -> F) -> Vec<Driver> {
    let driver = |decides: F| -> Driver {
        let mut own = Apart(decides);
        Box::new(move |calls| {
            let Apart(decides) = &mut own;
            let mut tally = Tally::default();
            for _ in 0..calls {
                decides();
                black_box(());
                tally.count(End::Accepted);
            }
            tally
        })
    };
    vec![driver(make()), driver(make())]
}
