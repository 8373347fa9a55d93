//! What retries do to a callee in trouble. `cargo run --release -p plimsoll-client --example proofs`
//! prints the figures.

use crate::{
    amplification::{attempts_over_requests, share, successes},
    herd, stall,
};

fn run(name: &str) -> stall::Run {
    let policy = stall::POLICIES.into_iter().find(|policy| policy.0 == name);
    stall::run(policy.unwrap(), 1)
}

#[test]
fn a_stall_is_recovered_from_as_without_retries() {
    let none = run("no retry").recovery.unwrap();
    assert!((90..=170).contains(&none), "{none} s");
    for name in ["10 % of successes (the default)", "gRPC A6 (10, 0.1)"] {
        let recovery = run(name).recovery.unwrap();
        assert!(
            f64::from(recovery) <= 1.1 * f64::from(none),
            "{name}: {recovery} s, {none} s"
        );
    }
}

#[test]
fn unlimited_retries_and_a_share_of_requests_never_recover() {
    for (name, load) in [("1 retry, unlimited", 560.0), ("20 % of requests", 336.0)] {
        let run = run(name);
        assert!(
            run.recovery.is_none() && run.goodput < 1.0,
            "{name}: {run:?}"
        );
        assert!((run.load - load).abs() < 0.05 * load, "{name}: {run:?}");
    }
}

#[test]
fn a_full_failure_is_amplified_by_the_bank_only() {
    assert!(attempts_over_requests(1, successes) <= 1.1);
    assert!(attempts_over_requests(3, successes) <= 1.01);
}

#[test]
fn nested_hops_are_amplified_by_the_shares_of_their_budgets() {
    // The bank's one retry is above the share: a thousandth of the requests.
    assert!(attempts_over_requests(1, share) <= 1.1 * 1.001);
    let three = attempts_over_requests(3, share);
    assert!(three <= 1.1_f64.powi(3) * 1.001, "{three}");
    assert!(three > 1.3, "{three}: the budgets are in use");
}

#[test]
fn clients_that_were_rejected_together_return_spread() {
    for (name, hint, jitter) in herd::CASES {
        let peak = herd::peak_over_mean(hint, jitter);
        assert!(peak <= 3.0, "{name}: {peak}");
    }
}
