//! Decisions of each algorithm, against published vectors and slow, simple models.

use proptest::{collection::vec, prelude::*};

use super::{MS, Redis, START, check};

/// T = 100 ms, τ = 300 ms: burst 4.
#[test]
fn gcra_conforms_to_the_published_vector() {
    let mut redis = Redis::start();
    let four = ("g", 100 * MS, 4);
    let mut at = |millis: u64, expected: Result<u64, u64>| {
        let got = redis.one(four, 1, START + millis * MS);
        assert_eq!(got, expected.map_err(|wait| wait * MS), "at {millis} ms");
    };
    for left in [3, 2, 1, 0] {
        at(0, Ok(left));
    }
    at(0, Err(100));
    at(50, Err(50));
    at(100, Ok(0));
    at(100, Err(100));
    at(150, Err(50));
    at(200, Ok(0));
    for left in [3, 2, 1, 0] {
        at(1000, Ok(left));
    }
    at(1000, Err(100));
}

/// Cloudflare's example: 42 in the previous minute, 18 in the first 15 seconds of this one: a rate
/// of 49.5.
#[test]
fn the_sliding_window_conforms_to_the_published_vector() {
    let mut redis = Redis::start();
    let (minute, second) = (60_000 * MS, 1000 * MS);
    let begin = START / minute * minute;
    let fifty = ("s", minute, 50);
    assert_eq!(redis.one(fifty, 42, begin + 30 * second), Ok(8));
    assert_eq!(
        redis.one(fifty, 18, begin + minute + 15 * second),
        Ok(0),
        "49.5 of 50"
    );
    // 0.5 must leave the window: 60 s * 0.5 / 42.
    let wait = redis
        .one(fifty, 1, begin + minute + 15 * second)
        .expect_err("50.5 of 50");
    assert_eq!(wait, (30 * second).div_ceil(42));
}

/// The model is a bucket that is refilled every microsecond, in fractions of a token.
#[test]
fn gcra_decides_like_a_counted_bucket() {
    let redis = std::cell::RefCell::new(Redis::start());
    let steps = vec((0_u64..400 * MS, 1_u64..5), 1..60);
    check(
        60,
        (1_u64..90 * MS, 1_u64..12, steps),
        |(unit, size, steps)| {
            let mut redis = redis.borrow_mut();
            redis.flush();
            let (mut at, mut level, mut seen) = (START, unit * size, START);
            for (gap, cost) in steps {
                at += gap * size / 12;
                level = (level + (at - seen)).min(unit * size);
                seen = at;
                let cost = cost.min(size);
                let got = redis.one(("g", unit, size), cost, at);
                if level >= cost * unit {
                    level -= cost * unit;
                    prop_assert_eq!(got, Ok(level / unit));
                } else {
                    prop_assert_eq!(got, Err(cost * unit - level));
                }
            }
            Ok(())
        },
    );
}

/// The model is a log of all admissions.
#[test]
fn the_fixed_window_decides_like_a_log() {
    let redis = std::cell::RefCell::new(Redis::start());
    let steps = vec((0_u64..400 * MS, 1_u64..5), 1..60);
    check(
        60,
        (1_u64..900 * MS, 1_u64..12, steps),
        |(unit, size, steps)| {
            let mut redis = redis.borrow_mut();
            redis.flush();
            let (mut at, mut log) = (START, Vec::new());
            for (gap, cost) in steps {
                at += gap;
                let cost = cost.min(size);
                let got = redis.one(("f", unit, size), cost, at);
                let same = |(then, _): &&(u64, u64)| then / unit == at / unit;
                let count: u64 = log.iter().filter(same).map(|(_, cost)| cost).sum();
                if count + cost <= size {
                    log.push((at, cost));
                    prop_assert_eq!(got, Ok(size - count - cost));
                } else {
                    prop_assert_eq!(got, Err(unit - at % unit));
                }
            }
            Ok(())
        },
    );
}

/// The same log, with part of the previous period. Each wait is the shortest possible.
#[test]
fn the_sliding_window_decides_like_a_log() {
    let redis = std::cell::RefCell::new(Redis::start());
    let steps = vec((0_u64..400 * MS, 1_u64..5), 1..60);
    check(
        60,
        (2_u64..900 * MS, 1_u64..12, steps),
        |(unit, size, steps)| {
            let mut redis = redis.borrow_mut();
            redis.flush();
            let (mut at, mut log) = (START, Vec::<(u64, u64)>::new());
            // In units of 1/unit of a request, to avoid rounding.
            let fits = |log: &[(u64, u64)], at: u64, cost: u64| {
                let of = |window| {
                    let same = |(then, _): &&(u64, u64)| then / unit == window;
                    log.iter().filter(same).map(|(_, cost)| cost).sum::<u64>()
                };
                let before = of(at / unit - 1) * (unit - at % unit);
                (of(at / unit) + cost) * unit + before <= size * unit
            };
            for (gap, cost) in steps {
                at += gap;
                let cost = cost.min(size);
                match redis.one(("s", unit, size), cost, at) {
                    Ok(_) => {
                        prop_assert!(fits(&log, at, cost), "one too many");
                        log.push((at, cost));
                    }
                    Err(wait) => {
                        prop_assert!(!fits(&log, at, cost), "one too few");
                        prop_assert!(fits(&log, at + wait, cost), "too early");
                        prop_assert!(!fits(&log, at + wait - 1, cost), "too late");
                    }
                }
            }
            Ok(())
        },
    );
}

/// The cost is taken from all three quotas, or from none.
#[test]
fn a_request_takes_from_all_quotas_or_from_none() {
    let redis = std::cell::RefCell::new(Redis::start());
    let quotas = [("g", 50 * MS, 6), ("s", 700 * MS, 9), ("f", 1100 * MS, 11)];
    check(40, vec((0_u64..300 * MS, 1_u64..7), 1..50), |steps| {
        let mut redis = redis.borrow_mut();
        redis.flush();
        let mut at = START;
        for (gap, cost) in steps {
            at += gap;
            let before = redis.dump();
            let got = redis.ask(&quotas, cost, cost, 0, at);
            let after = redis.dump();
            if got.granted == 0 {
                prop_assert!((1..=3).contains(&got.tightest));
                let (left, _) = got.left[got.tightest as usize - 1];
                prop_assert!(left < cost, "the tightest quota has too little");
                // A window that ended, or a key that expired, is not a write: the values stay.
                prop_assert_eq!(before, after);
                // After the wait all quotas have it.
                let again = redis.ask(&quotas, cost, cost, 0, at + got.wait);
                prop_assert_eq!(again.granted.unsigned_abs(), cost);
                at += got.wait;
            } else {
                prop_assert!(
                    before
                        .iter()
                        .zip(&after)
                        .all(|(before, after)| before != after)
                );
            }
        }
        Ok(())
    });
}
