//! The retry budget, beside slow models.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use plimsoll_client::{InvalidBudget, RetryBudget};
use proptest::prelude::*;
use tokio::time::Instant;

/// Takes retries until none is left.
fn drain(budget: &RetryBudget, now: Instant) -> u32 {
    let mut taken = 0;
    while let Some(retry) = budget.failure(now) {
        retry.spend();
        taken += 1;
    }
    taken
}

#[test]
fn the_ratio_is_exact_to_one_percent() {
    let now = Instant::now();
    // tower's `TpsBudget` makes 50 % of 40 %, and 100 % of 60 %.
    for ratio in [0.0001, 0.0033, 0.1, 0.15, 0.3, 0.4, 0.6, 0.75, 0.99, 1.0] {
        for (budget, fund) in [
            (
                RetryBudget::successes(ratio, 100_000).unwrap(),
                RetryBudget::success as fn(&RetryBudget, Instant),
            ),
            (
                RetryBudget::share_of_requests(ratio, 100_000).unwrap(),
                RetryBudget::request,
            ),
        ] {
            assert_eq!(
                drain(&budget, now),
                100_000,
                "the bank is full at the start"
            );
            for _ in 0..1_000_000 / 10 {
                fund(&budget, now);
            }
            let (retries, exact) = (f64::from(drain(&budget, now)), ratio * 100_000.0);
            assert!(
                retries <= exact * 1.01 && retries + 1.0 >= exact * 0.99,
                "{ratio}: {retries} of {exact}"
            );
        }
    }
}

#[test]
fn the_bank_does_not_grow_beyond_its_maximum() {
    let now = Instant::now();
    for bank in [1, 2, 3, 7, 64, 1000] {
        let budget = RetryBudget::successes(1.0, bank).unwrap();
        for _ in 0..3000 {
            budget.success(now);
        }
        assert_eq!(drain(&budget, now), bank);
    }
}

#[test]
fn threads_withdraw_no_more_than_was_deposited_and_no_less() {
    const CALLS: u64 = 200_000;
    let now = Instant::now();
    let budget = RetryBudget::successes(0.1, 1000).unwrap();
    drain(&budget, now);
    let taken = Arc::new(AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..CALLS {
                    budget.success(now);
                    if let Some(retry) = budget.failure(now) {
                        retry.spend();
                        taken.fetch_add(1, Relaxed);
                    }
                }
            });
        }
    });
    let total = taken.load(Relaxed) + u64::from(drain(&budget, now));
    let exact = 4 * CALLS / 10;
    assert!(total <= exact, "{total} of {exact}");
    assert!(total * 100 >= exact * 99, "{total} of {exact}");
}

#[test]
fn a_withdrawal_that_is_dropped_is_returned() {
    let now = Instant::now();
    for budget in [
        RetryBudget::successes(0.1, 1).unwrap(),
        RetryBudget::share_of_requests(0.1, 1).unwrap(),
        RetryBudget::recent(0.1, 1, Duration::from_secs(10)).unwrap(),
    ] {
        let first = budget.failure(now).unwrap();
        assert!(budget.failure(now).is_none());
        drop(first);
        budget.hedge(now).unwrap().spend();
        assert!(budget.failure(now).is_none());
        assert_eq!((budget.taken(), budget.suppressed()), (2, 2));
    }
}

#[test]
fn settings_out_of_bounds_are_errors() {
    for ratio in [0.0, -0.1, 1.01, f64::NAN, f64::INFINITY, 0.000_09] {
        assert!(RetryBudget::successes(ratio, 1).is_err(), "{ratio}");
        assert!(RetryBudget::share_of_requests(ratio, 1).is_err());
        assert!(RetryBudget::recent(ratio, 1, Duration::from_secs(1)).is_err());
    }
    assert_eq!(
        RetryBudget::successes(0.1, 0).unwrap_err(),
        InvalidBudget::Bank(0)
    );
    assert!(RetryBudget::successes(0.1, 1_000_001).is_err());
    assert!(RetryBudget::recent(0.1, 1_000_001, Duration::from_secs(1)).is_err());
    assert!(RetryBudget::recent(0.1, 0, Duration::from_millis(999)).is_err());
    assert!(RetryBudget::recent(0.1, 0, Duration::from_secs(3601)).is_err());
    assert!(RetryBudget::grpc(0, 0.1).is_err());
    assert!(RetryBudget::grpc(1001, 0.1).is_err());
    assert!(RetryBudget::grpc(10, 0.0).is_err());
    let message = RetryBudget::successes(1.5, 1).unwrap_err().to_string();
    assert_eq!(message, "ratio must be in 0.0001..=1, got 1.5");
}

#[test]
fn a_window_forgets_successes_and_retries_alike() {
    let start = Instant::now();
    let at = |secs| start + Duration::from_secs(secs);
    let budget = RetryBudget::recent(0.5, 1, Duration::from_secs(10)).unwrap();
    assert_eq!(drain(&budget, at(0)), 1, "the minimum");
    for _ in 0..10 {
        budget.success(at(1));
    }
    assert_eq!(
        drain(&budget, at(1)),
        4,
        "half of the successes, one was spent"
    );
    assert_eq!(drain(&budget, at(9)), 0);
    assert_eq!(drain(&budget, at(10)), 1, "the first retry is forgotten");
    assert_eq!(
        drain(&budget, at(11)),
        0,
        "the successes are forgotten, a retry is not"
    );
    assert_eq!(drain(&budget, at(25)), 1);
}

#[test]
fn a_window_moves_in_tenths_of_itself() {
    let start = Instant::now();
    let at = |secs| start + Duration::from_secs(secs);
    let budget = RetryBudget::recent(0.5, 0, Duration::from_secs(10)).unwrap();
    assert_eq!(drain(&budget, at(0)), 0);
    for _ in 0..10 {
        budget.success(at(9));
    }
    assert_eq!(drain(&budget, at(18)), 5, "nine seconds later");
    for _ in 0..10 {
        budget.success(at(29));
    }
    assert_eq!(drain(&budget, at(39)), 0, "ten seconds later");
}

/// An event of a recent budget: a step in milliseconds, and what happens then.
fn events() -> impl Strategy<Value = Vec<(u64, bool)>> {
    proptest::collection::vec((0..700_u64, any::<bool>()), 0..300)
}

proptest! {
    #[test]
    fn recent_retries_never_exceed_the_ratio_of_any_window(events in events(), at_least in 0..4_u32) {
        let start = Instant::now();
        let budget = RetryBudget::recent(0.3, at_least, Duration::from_secs(10)).unwrap();
        budget.request(start);
        let (mut millis, mut successes, mut retries) = (0, Vec::new(), Vec::new());
        // The epoch of the budget starts with its first event.
        budget.success(start);
        successes.push(0);
        for (step, succeeds) in events {
            millis += step;
            let now = start + Duration::from_millis(millis);
            let period = millis / 1000;
            if succeeds {
                budget.success(now);
                successes.push(period);
            } else {
                let recent = |of: &[u64]| of.iter().filter(|then| **then + 10 > period).count() as f64;
                let allowed = (0.3 * recent(&successes)).max(f64::from(at_least));
                let model = recent(&retries) + 1.0 <= allowed + 1e-9;
                let taken = budget.failure(now).map(plimsoll_client::Withdrawal::spend).is_some();
                prop_assert_eq!(taken, model, "at {} ms", millis);
                if taken {
                    retries.push(period);
                }
            }
        }
    }

    #[test]
    fn a_bank_agrees_with_a_sum(
        ratio in 0.001..=1.0,
        bank in 1..50_u32,
        events in proptest::collection::vec(any::<bool>(), 0..2000),
    ) {
        let now = Instant::now();
        let budget = RetryBudget::successes(ratio, bank).unwrap();
        let (mut sum, unit) = (f64::from(bank), (ratio * 1e6).round() / 1e6);
        for succeeds in events {
            if succeeds {
                budget.success(now);
                sum = (sum + unit).min(f64::from(bank));
            } else {
                // Floating point is not exact at a whole number of retries.
                prop_assume!((sum - 1.0).abs() > 1e-6);
                let taken = budget.failure(now).map(plimsoll_client::Withdrawal::spend).is_some();
                prop_assert_eq!(taken, sum >= 1.0);
                sum -= f64::from(u8::from(taken));
            }
        }
    }
}
