//! The effect of a flood of made-up keys on the requests of quiet callers.
//!
//! ```sh
//! cargo run --release -p plimsoll-rate-limit --example floods
//! ```
//!
//! The policies are the real ones, in virtual time. Each quiet caller stays far below its quota, so
//! the flood causes every rejection of one. Figures differ by one or two per cent between runs,
//! since tables hash with a random seed.
#![allow(clippy::print_stdout)]

mod scenarios;
mod sim;

use std::error::Error;

use plimsoll_core::{Class, Missing, Outcome, Policy, policy::Verdict};
use plimsoll_rate_limit::{RateLimit, SlidingLog};
use tokio::time::Instant;

use self::{
    scenarios::{Case, cases},
    sim::run,
};

fn main() -> Result<(), Box<dyn Error>> {
    println!(
        "Rejected requests, in per cent. Known callers came before the flood, new ones during it.\n"
    );
    println!("| flood | capacity | quota | known + new callers | known | new | flood |");
    println!("|---|--:|---|---|--:|--:|--:|");
    for case in cases() {
        row(case, "", &limit(case)?);
    }
    // `Keyed`, the table for every policy.
    for case in cases().into_iter().take(2) {
        let log = SlidingLog::new(case.count, case.per)?;
        let key = |key: &u64| Some(*key);
        row(
            case,
            " (sliding log)",
            &log.per_key(key, Missing::Share, case.capacity)?,
        );
    }
    Ok(())
}

fn limit(case: Case) -> Result<impl Policy<u64>, Box<dyn Error>> {
    let key = |key: &u64| Some(*key);
    Ok(RateLimit::new(case.quota())?.per_key(key, Missing::Share, case.capacity)?)
}

fn row(case: Case, kind: &str, limit: &impl Policy<u64>) {
    let Case {
        scenario, capacity, ..
    } = case;
    let admits = |mut key, now| match limit.admit(&mut key, now) {
        Verdict::Admit(permit) => {
            finish(limit, permit, now);
            true
        }
        _ => false,
    };
    let figures = run(scenario, admits);
    println!(
        "| {} | {capacity} | {} in {} s, burst {}{kind} | {} + {}, every {} s | {:.1} | {:.1} | {:.1} |",
        scenario.name,
        case.count,
        case.per.as_secs(),
        case.burst,
        scenario.known,
        scenario.new,
        scenario.period.as_secs(),
        100.0 * figures.known.share(),
        100.0 * figures.new.share(),
        100.0 * figures.flood.share(),
    );
}

fn finish<P: Policy<u64>>(limit: &P, permit: P::Permit, now: Instant) {
    let outcome = Outcome::new(Class::Success, std::time::Duration::ZERO, now);
    limit.finish(permit, &outcome);
}
