//! Invalid rates.

use plimsoll_sampling::{InvalidRates, Rates, Sampling};

#[test]
fn invalid_rates_are_rejected_at_construction_and_at_run_time() {
    let good = Rates::DEFAULT;
    let bad = Rates { base: 1.1, ..good };
    let error = Sampling::new(|| 0.0, bad).expect_err("invalid");
    assert_eq!(error, InvalidRates::Base(1.1));
    assert_eq!(error.to_string(), "base must be in (0, 1], got 1.1");
    let sampling = Sampling::new(|| 0.0, good).expect("valid");
    assert_eq!(sampling.handle().set_rates(bad), Err(error));
    assert_eq!(sampling.handle().rates(), good);
}
