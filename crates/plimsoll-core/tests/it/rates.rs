//! The share that sampling keeps, as a function of the load.

use plimsoll_core::{Rates, support::LiveRates};
use proptest::prelude::*;

#[test]
#[allow(clippy::float_cmp)] // the ends are exact
fn the_rate_falls_linearly_between_threshold_and_full_load() {
    let rates = Rates {
        base: 1.0,
        min: 0.1,
        threshold: 0.7,
    };
    for (load, expected) in [
        (0.0, 1.0),
        (0.5, 1.0),
        (0.7, 1.0),
        (1.0, 0.1),
        (1.5, 0.1),
        (f64::INFINITY, 0.1),
        (f64::NEG_INFINITY, 1.0),
        (-1.0, 1.0),
        (f64::NAN, 1.0),
    ] {
        assert_eq!(rates.rate(load), expected, "load {load}");
    }
    for (load, expected) in [(0.775, 0.775), (0.85, 0.55), (0.925, 0.325)] {
        assert!((rates.rate(load) - expected).abs() < 1e-12, "load {load}");
    }
}

#[test]
fn invalid_rates_are_errors_with_field_and_bound() {
    let good = Rates::DEFAULT;
    for (rates, expected) in [
        (Rates { base: 0.0, ..good }, "base must be in (0, 1], got 0"),
        (
            Rates { base: 1.1, ..good },
            "base must be in (0, 1], got 1.1",
        ),
        (
            Rates {
                base: f64::NAN,
                ..good
            },
            "base must be in (0, 1], got NaN",
        ),
        (
            Rates { min: -0.1, ..good },
            "min must be in 0..=base (1), got -0.1",
        ),
        (
            Rates {
                base: 0.5,
                min: 0.6,
                ..good
            },
            "min must be in 0..=base (0.5), got 0.6",
        ),
        (
            Rates {
                min: f64::NAN,
                ..good
            },
            "min must be in 0..=base (1), got NaN",
        ),
        (
            Rates {
                threshold: 1.0,
                ..good
            },
            "threshold must be at least 0 and below 1, got 1",
        ),
        (
            Rates {
                threshold: -0.1,
                ..good
            },
            "threshold must be at least 0 and below 1, got -0.1",
        ),
        (
            Rates {
                threshold: f64::NAN,
                ..good
            },
            "threshold must be at least 0 and below 1, got NaN",
        ),
    ] {
        let said = LiveRates::new(rates).expect_err("invalid").to_string();
        assert_eq!(said, expected);
    }
    let edge = Rates {
        base: 0.5,
        min: 0.5,
        threshold: 0.0,
    };
    let live = LiveRates::new(edge).expect("valid");
    assert!(live.set(Rates { base: 2.0, ..good }).is_err());
    assert_eq!(live.get(), edge, "unchanged");
    live.set(good).expect("valid");
    assert_eq!(live.get(), good);
}

prop_compose! {
    fn valid()(base in 1e-9..=1.0_f64, part in 0.0..=1.0_f64, threshold in 0.0..1.0_f64) -> Rates {
        Rates { base, min: base * part, threshold }
    }
}

proptest! {
    /// The rate stays within its bounds, and never rises with the load.
    #[test]
    fn the_rate_never_rises_with_the_load(
        rates in valid(),
        a in prop_oneof![any::<f64>(), 0.0..1.2],
        b in prop_oneof![any::<f64>(), 0.0..1.2],
    ) {
        let (low, high) = if a <= b { (a, b) } else { (b, a) };
        for load in [low, high] {
            prop_assert!((rates.min..=rates.base).contains(&rates.rate(load)));
        }
        if !a.is_nan() && !b.is_nan() {
            prop_assert!(rates.rate(low) >= rates.rate(high));
        }
    }
}
