//! The scripts, against slow and obvious models. They are the very files of the crate, run by a real Redis; only the clock is
//! another: the last argument.

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
const GIVE_BACK: &str = include_str!("../../src/scripts/give_back.lua");

pub(crate) const MS: u64 = 1000;
/// Some time in 2026, in microseconds, and not the start of any window.
pub(crate) const START: u64 = 1_790_000_000_123_456;

/// Kind, unit and size.
pub(crate) type Quota = (&'static str, u64, u64);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) granted: i64,
    pub(crate) wait: u64,
    tightest: u64,
    left: Vec<(u64, u64)>,
}

pub(crate) struct Redis {
    _server: Server,
    pub(crate) connection: redis::Connection,
    /// Microseconds that are added to the clock, so that windows begin at multiples of the period.
    pub(crate) phase: u64,
    decide: redis::Script,
    give_back: redis::Script,
}

impl Redis {
    /// Keys stay an hour longer: they expire by the real clock, and the tests have another.
    pub(crate) fn start() -> Self {
        let later = COMMON.replace("floor(micros / 1000)", "3600000 + floor(micros / 1000)");
        assert_ne!(later, COMMON, "the expiry is written as it was");
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
            give_back: redis::Script::new(&[CLOCK, common, GIVE_BACK].concat()),
        }
    }

    pub(crate) fn flush(&mut self) {
        let flushed: redis::RedisResult<()> = redis::cmd("FLUSHALL").query(&mut self.connection);
        flushed.expect("it flushes");
    }

    fn ask(&mut self, quotas: &[Quota], least: u64, most: u64, not_after: u64, now: u64) -> Said {
        let mut call = self.decide.prepare_invoke();
        call.arg(least).arg(most).arg(not_after);
        for (n, (kind, unit, size)) in quotas.iter().enumerate() {
            call.key(format!("t:{{k}}:{n}"))
                .arg(*kind)
                .arg(*unit)
                .arg(*size)
                .arg(self.phase);
        }
        let said: Vec<i64> = call
            .arg(now)
            .invoke(&mut self.connection)
            .expect("an answer");
        let number = |n: &i64| u64::try_from(*n).expect("not negative");
        assert_eq!(number(&said[1]), now);
        if said.len() == 2 {
            return Said {
                granted: said[0],
                wait: 0,
                tightest: 0,
                left: Vec::new(),
            };
        }
        assert_eq!(said.len(), 4 + 2 * quotas.len());
        Said {
            granted: said[0],
            wait: number(&said[2]),
            tightest: number(&said[3]),
            left: said[4..]
                .chunks(2)
                .map(|pair| (number(&pair[0]), number(&pair[1])))
                .collect(),
        }
    }

    /// One request of one quota: what is left, or the wait.
    pub(crate) fn one(&mut self, quota: Quota, cost: u64, now: u64) -> Result<u64, u64> {
        let said = self.ask(&[quota], cost, cost, 0, now);
        if said.granted == 0 {
            assert_eq!(said.tightest, 1);
            assert!(said.wait > 0, "a wait");
            return Err(said.wait);
        }
        assert_eq!(said.granted.unsigned_abs(), cost);
        Ok(said.left[0].0)
    }

    pub(crate) fn give_back(&mut self, quota: Quota, count: u64, at: u64, now: u64) {
        let (kind, unit, size) = quota;
        let mut call = self.give_back.key("t:{k}:0");
        call.arg(count)
            .arg(at)
            .arg(kind)
            .arg(unit)
            .arg(size)
            .arg(self.phase)
            .arg(now);
        let said: i64 = call.invoke(&mut self.connection).expect("an answer");
        assert_eq!(said, 1);
    }

    /// What is written of the first quota, after its kind and unit.
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

    /// Milliseconds until the first key is gone by itself; -1 when never, -2 when there is none.
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

/// T = 100 ms, τ = 300 ms: a burst of four.
#[test]
fn gcra_keeps_the_published_vector() {
    let mut redis = Redis::start();
    let four = ("g", 100 * MS, 4);
    let mut at = |millis: u64, expected: Result<u64, u64>| {
        let said = redis.one(four, 1, START + millis * MS);
        assert_eq!(said, expected.map_err(|wait| wait * MS), "at {millis} ms");
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

/// Cloudflare's example: 42 in the minute before, 18 in the first 15 seconds of this one: a rate of 49.5.
#[test]
fn sliding_window_keeps_the_published_vector() {
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
    // 0.5 must go out of sight: 60 s * 0.5 / 42.
    let wait = redis
        .one(fifty, 1, begin + minute + 15 * second)
        .expect_err("50.5 of 50");
    assert_eq!(wait, (30 * second).div_ceil(42));
}

/// A bucket that is refilled microsecond by microsecond, in fractions of a token.
#[test]
fn gcra_decides_as_a_counted_bucket_does() {
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
                let said = redis.one(("g", unit, size), cost, at);
                if level >= cost * unit {
                    level -= cost * unit;
                    prop_assert_eq!(said, Ok(level / unit));
                } else {
                    prop_assert_eq!(said, Err(cost * unit - level));
                }
            }
            Ok(())
        },
    );
}

/// A log of everything that was let in.
#[test]
fn fixed_window_decides_as_a_log_does() {
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
                let said = redis.one(("f", unit, size), cost, at);
                let same = |(then, _): &&(u64, u64)| then / unit == at / unit;
                let count: u64 = log.iter().filter(same).map(|(_, cost)| cost).sum();
                if count + cost <= size {
                    log.push((at, cost));
                    prop_assert_eq!(said, Ok(size - count - cost));
                } else {
                    prop_assert_eq!(said, Err(unit - at % unit));
                }
            }
            Ok(())
        },
    );
}

/// The same log, of which the period before counts in part. And the wait is the shortest that helps.
#[test]
fn sliding_window_decides_as_a_log_does() {
    let redis = std::cell::RefCell::new(Redis::start());
    let steps = vec((0_u64..400 * MS, 1_u64..5), 1..60);
    check(
        60,
        (2_u64..900 * MS, 1_u64..12, steps),
        |(unit, size, steps)| {
            let mut redis = redis.borrow_mut();
            redis.flush();
            let (mut at, mut log) = (START, Vec::<(u64, u64)>::new());
            // In units of 1/unit of a request, so that nothing is rounded.
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

/// Of the three quotas either all have the cost taken from them, or none is touched.
#[test]
fn all_quotas_or_none() {
    let redis = std::cell::RefCell::new(Redis::start());
    let quotas = [("g", 50 * MS, 6), ("s", 700 * MS, 9), ("f", 1100 * MS, 11)];
    check(40, vec((0_u64..300 * MS, 1_u64..7), 1..50), |steps| {
        let mut redis = redis.borrow_mut();
        redis.flush();
        let mut at = START;
        for (gap, cost) in steps {
            at += gap;
            let before = redis.dump();
            let said = redis.ask(&quotas, cost, cost, 0, at);
            let after = redis.dump();
            if said.granted == 0 {
                prop_assert!((1..=3).contains(&said.tightest));
                let (left, _) = said.left[said.tightest as usize - 1];
                prop_assert!(left < cost, "the one that is said to lack has less");
                // A window that turned, or a key that expired, is no write: the values are as they were.
                prop_assert_eq!(before, after);
                // After the wait all of them have it.
                let again = redis.ask(&quotas, cost, cost, 0, at + said.wait);
                prop_assert_eq!(again.granted.unsigned_abs(), cost);
                at += said.wait;
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
fn a_batch_is_as_much_as_there_is_and_never_less_than_asked() {
    let mut redis = Redis::start();
    let quotas = [("g", 1000 * MS, 10), ("f", 3_600_000 * MS, 7)];
    assert_eq!(redis.ask(&quotas, 1, 5, 0, START).granted, 5);
    assert_eq!(
        redis.ask(&quotas, 1, 5, 0, START).granted,
        2,
        "the tighter one has 2"
    );
    let said = redis.ask(&quotas, 1, 5, 0, START);
    assert_eq!((said.granted, said.tightest), (0, 2));
    assert_eq!(
        redis.ask(&quotas[..1], 4, 9, 0, START).granted,
        0,
        "3 is less than 4"
    );
    assert_eq!(redis.ask(&quotas[..1], 3, 9, 0, START).granted, 3);
}

#[test]
fn a_question_that_lay_around_too_long_spends_nothing() {
    let mut redis = Redis::start();
    let quota = [("g", 100 * MS, 4)];
    assert_eq!(redis.ask(&quota, 1, 1, START, START + 1).granted, -1);
    assert_eq!(redis.dump()[0], None);
    assert_eq!(redis.ask(&quota, 1, 1, START, START).granted, 1);
}

/// What was given back can be had again, and what stands is within the quota in any stretch of time.
#[test]
fn gcra_gives_back_no_more_than_was_taken() {
    #[derive(Debug, Clone)]
    enum Step {
        Forward(u64),
        Ask(u64),
        GiveBack(prop::sample::Index),
    }
    let step = prop_oneof![
        2 => (0..250 * MS).prop_map(Step::Forward),
        6 => (1_u64..4).prop_map(Step::Ask),
        4 => any::<prop::sample::Index>().prop_map(Step::GiveBack),
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
                Step::GiveBack(index) if !log.is_empty() => {
                    let (then, cost) = log.remove(index.index(log.len()));
                    redis.give_back(("g", unit, size), cost, then, at);
                }
                Step::GiveBack(_) => {}
            }
        }
        Ok(())
    });
}

#[test]
fn what_is_given_back_at_once_was_never_taken() {
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
        redis.give_back(quota, 3, at, at);
        assert_eq!(redis.one(quota, 3, at), Ok(0), "{quota:?}");
        redis.give_back(quota, 2, at, at);
        assert_eq!(redis.one(quota, 2, at), Ok(0), "{quota:?}");
    }
}

#[test]
fn windows_take_back_only_what_they_still_count() {
    let mut redis = Redis::start();
    let (unit, begin) = (60_000 * MS, START / (60_000 * MS) * 60_000 * MS);
    // Taken in a period that is over: this one has nothing to do with it.
    assert_eq!(redis.one(("f", unit, 5), 2, begin), Ok(3));
    assert_eq!(redis.one(("f", unit, 5), 4, begin + unit), Ok(1));
    redis.give_back(("f", unit, 5), 2, begin, begin + unit);
    assert_eq!(redis.one(("f", unit, 5), 1, begin + unit), Ok(0));
    // The sliding window still sees the period before.
    redis.flush();
    assert_eq!(redis.one(("s", unit, 5), 4, begin + unit / 2), Ok(1));
    assert!(redis.one(("s", unit, 5), 2, begin + unit).is_err());
    redis.give_back(("s", unit, 5), 3, begin + unit / 2, begin + unit);
    assert_eq!(redis.one(("s", unit, 5), 4, begin + unit), Ok(0));
}

#[test]
fn a_clock_that_goes_back_opens_no_second_window() {
    let mut redis = Redis::start();
    let (unit, begin) = (60_000 * MS, START / (60_000 * MS) * 60_000 * MS);
    for kind in ["f", "s"] {
        redis.flush();
        assert_eq!(redis.one((kind, unit, 5), 5, begin), Ok(0));
        assert!(redis.one((kind, unit, 5), 1, begin - 1).is_err(), "{kind}");
    }
    // And a bucket is no emptier than empty, whatever clock wrote it.
    redis.flush();
    assert_eq!(
        redis.one(("g", 1000 * MS, 5), 5, begin + 500_000 * MS),
        Ok(0)
    );
    assert_eq!(redis.one(("g", 1000 * MS, 5), 1, begin), Err(1000 * MS));
}

#[test]
fn every_key_vanishes_when_it_stops_to_matter() {
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
        redis.give_back(quota, 1, START, START);
        let expires = redis.expires_in();
        assert!((1..=most).contains(&expires), "{quota:?}: {expires} ms");
    }
}

#[test]
fn rubbish_in_a_key_is_a_fresh_quota() {
    let mut redis = Redis::start();
    for kind in ["g", "s", "f"] {
        for rubbish in ["rubbish", "", "g 5", "f 1 2 3 4", "x 1 2 3", "1 2 3 4"] {
            redis.set(rubbish);
            let said = redis.one((kind, 1000 * MS, 5), 1, START);
            assert_eq!(said, Ok(4), "{kind}, {rubbish:?}");
        }
    }
}
