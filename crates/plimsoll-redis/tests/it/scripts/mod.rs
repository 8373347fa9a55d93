//! The scripts against slow, simple models. They are the files of the crate, run by a real Redis.
//! Only the clock is replaced, by the last argument.

mod edges;
mod models;
mod refunds;

use proptest::{
    prelude::*,
    test_runner::{RngAlgorithm, TestRng, TestRunner},
};

use crate::server::Server;

const CLOCK: &str = "local function clock() return tonumber(ARGV[#ARGV]) end\n";
const COMMON: &str = concat!(
    include_str!("../../../src/scripts/kinds.lua"),
    include_str!("../../../src/scripts/gcra.lua"),
    include_str!("../../../src/scripts/sliding_window.lua"),
    include_str!("../../../src/scripts/fixed_window.lua"),
);
const DECIDE: &str = include_str!("../../../src/scripts/decide.lua");
const REFUND: &str = include_str!("../../../src/scripts/refund.lua");

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
