//! The scripts against slow, simple models. They are the files of the crate, run by a real Redis.
//! Only the clock is replaced, by the last argument.

use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{RngAlgorithm, TestRng, TestRunner},
};

use crate::server::Server;

const CLOCK: &str = "local function clock() return tonumber(ARGV[#ARGV]) end\n";
const COMMON: &str = concat!(
    include_str!("../../src/scripts/kinds.lua"),
    include_str!("../../src/scripts/gcra.lua"),
    include_str!("../../src/scripts/sliding_window.lua"),
    include_str!("../../src/scripts/fixed_window.lua"),
);
const DECIDE: &str = include_str!("../../src/scripts/decide.lua");
const REFUND: &str = include_str!("../../src/scripts/refund.lua");

pub(crate) const MS: u64 = 1000;
/// A time in 2026, in microseconds, which is not the start of any window.
pub(crate) const START: u64 = 1_790_000_000_123_456;

/// Kind, unit and size.
pub(crate) type Quota = (&'static str, u64, u64);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) granted: i64,
    pub(crate) wait: u64,
    tightest: u64,
    left: Vec<(u64, u64)>,
}

pub(crate) struct Redis {
    _server: Server,
    pub(crate) connection: redis::Connection,
    /// Microseconds to add to the clock, so that windows begin at multiples of the period.
    pub(crate) phase: u64,
    decide: redis::Script,
    refund: redis::Script,
}

impl Redis {
    /// Keys live an hour longer: they expire by the real clock, which differs from the tests'
    /// clock.
    pub(crate) fn start() -> Self {
        let later = COMMON.replace("floor(micros / 1000)", "3600000 + floor(micros / 1000)");
        assert_ne!(later, COMMON, "the expiry is computed as expected");
        Self::with(&later)
    }

    fn with(common: &str) -> Self {
        let server = Server::start();
        let client = redis::Client::open(server.url()).expect("a URL");
        Self {
            connection: client.get_connection().expect("it listens"),
            _server: server,
            phase: 0,
            decide: redis::Script::new(&[CLOCK, common, DECIDE].concat()),
            refund: redis::Script::new(&[CLOCK, common, REFUND].concat()),
        }
    }

    pub(crate) fn flush(&mut self) {
        let flushed: redis::RedisResult<()> = redis::cmd("FLUSHALL").query(&mut self.connection);
        flushed.expect("it flushes");
    }

    fn ask(
        &mut self,
        quotas: &[Quota],
        least: u64,
        most: u64,
        not_after: u64,
        now: u64,
    ) -> Decision {
        let mut call = self.decide.prepare_invoke();
        call.arg(least).arg(most).arg(not_after);
        for (n, (kind, unit, size)) in quotas.iter().enumerate() {
            call.key(format!("t:{{k}}:{n}"))
                .arg(*kind)
                .arg(*unit)
                .arg(*size)
                .arg(self.phase);
        }
        let got: Vec<i64> = call
            .arg(now)
            .invoke(&mut self.connection)
            .expect("an answer");
        let number = |n: &i64| u64::try_from(*n).expect("not negative");
        assert_eq!(number(&got[1]), now);
        if got.len() == 2 {
            return Decision {
                granted: got[0],
                wait: 0,
                tightest: 0,
                left: Vec::new(),
            };
        }
        assert_eq!(got.len(), 4 + 2 * quotas.len());
        Decision {
            granted: got[0],
            wait: number(&got[2]),
            tightest: number(&got[3]),
            left: got[4..]
                .chunks(2)
                .map(|pair| (number(&pair[0]), number(&pair[1])))
                .collect(),
        }
    }

    /// One request of one quota: what is left, or the wait.
    pub(crate) fn one(&mut self, quota: Quota, cost: u64, now: u64) -> Result<u64, u64> {
        let got = self.ask(&[quota], cost, cost, 0, now);
        if got.granted == 0 {
            assert_eq!(got.tightest, 1);
            assert!(got.wait > 0, "a wait");
            return Err(got.wait);
        }
        assert_eq!(got.granted.unsigned_abs(), cost);
        Ok(got.left[0].0)
    }

    pub(crate) fn refund(&mut self, quota: Quota, count: u64, at: u64, now: u64) {
        let (kind, unit, size) = quota;
        let mut call = self.refund.key("t:{k}:0");
        call.arg(count)
            .arg(at)
            .arg(kind)
            .arg(unit)
            .arg(size)
            .arg(self.phase)
            .arg(now);
        let got: i64 = call.invoke(&mut self.connection).expect("an answer");
        assert_eq!(got, 1);
    }

    /// The stored state of the first quota, after its kind and unit.
    pub(crate) fn numbers(&mut self) -> Vec<u64> {
        let Some(text) = self.dump().swap_remove(0) else {
            return Vec::new();
        };
        let numbers = text.split(' ').skip(2).map(str::parse);
        numbers.collect::<Result<_, _>>().expect("numbers")
    }

    pub(crate) fn set(&mut self, value: &str) {
        let set: redis::RedisResult<()> = redis::cmd("SET")
            .arg("t:{k}:0")
            .arg(value)
            .query(&mut self.connection);
        set.expect("it sets");
    }

    fn dump(&mut self) -> Vec<Option<String>> {
        let keys = ["t:{k}:0", "t:{k}:1", "t:{k}:2"];
        redis::cmd("MGET")
            .arg(&keys)
            .query(&mut self.connection)
            .expect("strings")
    }

    /// Milliseconds until the first key expires; -1 for never, -2 when there is no key.
    fn expires_in(&mut self) -> i64 {
        redis::cmd("PTTL")
            .arg("t:{k}:0")
            .query(&mut self.connection)
            .expect("a number")
    }
}

pub(crate) fn check<S: Strategy>(
    cases: u32,
    strategy: S,
    test: impl Fn(S::Value) -> Result<(), TestCaseError>,
) where
    S::Value: Clone,
{
    let config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(cases)
    };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    if let Err(error) = TestRunner::new_with_rng(config, rng).run(&strategy, test) {
        panic!("{error}");
    }
}

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

#[test]
fn a_batch_is_what_is_left_but_at_least_the_minimum() {
    let mut redis = Redis::start();
    let quotas = [("g", 1000 * MS, 10), ("f", 3_600_000 * MS, 7)];
    assert_eq!(redis.ask(&quotas, 1, 5, 0, START).granted, 5);
    assert_eq!(
        redis.ask(&quotas, 1, 5, 0, START).granted,
        2,
        "the tighter quota has 2"
    );
    let got = redis.ask(&quotas, 1, 5, 0, START);
    assert_eq!((got.granted, got.tightest), (0, 2));
    assert_eq!(
        redis.ask(&quotas[..1], 4, 9, 0, START).granted,
        0,
        "3 is below the minimum of 4"
    );
    assert_eq!(redis.ask(&quotas[..1], 3, 9, 0, START).granted, 3);
}

#[test]
fn an_expired_question_spends_nothing() {
    let mut redis = Redis::start();
    let quota = [("g", 100 * MS, 4)];
    assert_eq!(redis.ask(&quota, 1, 1, START, START + 1).granted, -1);
    assert_eq!(redis.dump()[0], None);
    assert_eq!(redis.ask(&quota, 1, 1, START, START).granted, 1);
}

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

#[test]
fn a_clock_that_goes_back_starts_no_second_window() {
    let mut redis = Redis::start();
    let (unit, begin) = (60_000 * MS, START / (60_000 * MS) * 60_000 * MS);
    for kind in ["f", "s"] {
        redis.flush();
        assert_eq!(redis.one((kind, unit, 5), 5, begin), Ok(0));
        assert!(redis.one((kind, unit, 5), 1, begin - 1).is_err(), "{kind}");
    }
    // A bucket is never below empty, also after a write by another clock.
    redis.flush();
    assert_eq!(
        redis.one(("g", 1000 * MS, 5), 5, begin + 500_000 * MS),
        Ok(0)
    );
    assert_eq!(redis.one(("g", 1000 * MS, 5), 1, begin), Err(1000 * MS));
}

#[test]
fn every_key_expires_when_it_no_longer_matters() {
    let mut redis = Redis::with(COMMON);
    for (quota, most) in [
        (("g", 1000 * MS, 5), 3002),
        (("s", 60_000 * MS, 5), 120_002),
        (("f", 60_000 * MS, 5), 60_002),
    ] {
        redis.flush();
        redis.one(quota, 3, START).expect("room");
        let expires = redis.expires_in();
        assert!((1..=most).contains(&expires), "{quota:?}: {expires} ms");
        redis.refund(quota, 1, START, START);
        let expires = redis.expires_in();
        assert!((1..=most).contains(&expires), "{quota:?}: {expires} ms");
    }
}

#[test]
fn an_invalid_value_is_a_full_quota() {
    let mut redis = Redis::start();
    for kind in ["g", "s", "f"] {
        for rubbish in ["rubbish", "", "g 5", "f 1 2 3 4", "x 1 2 3", "1 2 3 4"] {
            redis.set(rubbish);
            let got = redis.one((kind, 1000 * MS, 5), 1, START);
            assert_eq!(got, Ok(4), "{kind}, {rubbish:?}");
        }
    }
}
