//! Refunds: what a later request may take again.

use proptest::{collection::vec, prelude::*};

use super::{MS, Redis, START, check};

/// Refunded tokens can be taken again, and what is not refunded is within the quota in any time.
#[test]
fn gcra_refunds_at_most_what_was_taken() {
    #[derive(Debug, Clone)]
    enum Step {
        Forward(u64),
        Ask(u64),
        Refund(prop::sample::Index),
    }
    let step = prop_oneof![
        2 => (0..250 * MS).prop_map(Step::Forward),
        6 => (1_u64..4).prop_map(Step::Ask),
        4 => any::<prop::sample::Index>().prop_map(Step::Refund),
    ];
    let redis = std::cell::RefCell::new(Redis::start());
    check(60, (3_u64..12, vec(step, 1..80)), |(size, steps)| {
        let mut redis = redis.borrow_mut();
        redis.flush();
        let unit = 100 * MS;
        let (mut at, mut log) = (START, Vec::<(u64, u64)>::new());
        for step in steps {
            match step {
                Step::Forward(micros) => at += micros,
                Step::Ask(cost) => {
                    if redis.one(("g", unit, size), cost, at).is_ok() {
                        log.push((at, cost));
                        for (k, (since, _)) in log.iter().enumerate() {
                            let taken: u64 = log[k..].iter().map(|(_, cost)| cost).sum();
                            prop_assert!(taken * unit <= at - since + size * unit, "too many");
                        }
                    }
                }
                Step::Refund(index) if !log.is_empty() => {
                    let (then, cost) = log.remove(index.index(log.len()));
                    redis.refund(("g", unit, size), cost, then, at);
                }
                Step::Refund(_) => {}
            }
        }
        Ok(())
    });
}

#[test]
fn a_refund_at_once_leaves_no_trace() {
    let mut redis = Redis::start();
    for quota in [
        ("g", 1000 * MS, 5),
        ("s", 60_000 * MS, 5),
        ("f", 60_000 * MS, 5),
    ] {
        redis.flush();
        let at = START / (60_000 * MS) * 60_000 * MS + MS;
        assert_eq!(redis.one(quota, 2, at), Ok(3));
        assert_eq!(redis.one(quota, 3, at), Ok(0));
        redis.refund(quota, 3, at, at);
        assert_eq!(redis.one(quota, 3, at), Ok(0), "{quota:?}");
        redis.refund(quota, 2, at, at);
        assert_eq!(redis.one(quota, 2, at), Ok(0), "{quota:?}");
    }
}

#[test]
fn windows_are_refunded_only_what_they_still_count() {
    let mut redis = Redis::start();
    let (unit, begin) = (60_000 * MS, START / (60_000 * MS) * 60_000 * MS);
    // Taken in a period that has ended, so the current period is not changed.
    assert_eq!(redis.one(("f", unit, 5), 2, begin), Ok(3));
    assert_eq!(redis.one(("f", unit, 5), 4, begin + unit), Ok(1));
    redis.refund(("f", unit, 5), 2, begin, begin + unit);
    assert_eq!(redis.one(("f", unit, 5), 1, begin + unit), Ok(0));
    // The sliding window still counts the previous period.
    redis.flush();
    assert_eq!(redis.one(("s", unit, 5), 4, begin + unit / 2), Ok(1));
    assert!(redis.one(("s", unit, 5), 2, begin + unit).is_err());
    redis.refund(("s", unit, 5), 3, begin + unit / 2, begin + unit);
    assert_eq!(redis.one(("s", unit, 5), 4, begin + unit), Ok(0));
}
