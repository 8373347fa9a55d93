//! The floods, and the limits that they hit.

use std::time::Duration;

use plimsoll_rate_limit::Quota;

use super::sim::{Keys, Scenario};

/// A scenario and its limit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    pub(crate) scenario: Scenario,
    pub(crate) capacity: usize,
    pub(crate) count: u32,
    pub(crate) per: Duration,
    pub(crate) burst: u32,
}

impl Case {
    pub(crate) fn quota(self) -> Quota {
        Quota::new(self.count, self.per).burst(self.burst)
    }
}

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// A fast flood on a small table.
pub(crate) const FAST: Case = Case {
    scenario: Scenario {
        name: "100,000 fresh keys/s",
        known: 100,
        new: 100,
        period: Duration::from_secs(5),
        rate: 100_000,
        keys: Keys::Fresh,
        lasts: Duration::from_secs(20),
    },
    capacity: 1_000,
    count: 100,
    per: MINUTE,
    burst: 100,
};

/// A slower flood on a larger table, with a quota that takes long to refill.
pub(crate) const SLOW_QUOTA: Case = Case {
    scenario: Scenario {
        name: "1,000 fresh keys/s",
        known: 1_000,
        new: 1_000,
        period: Duration::from_secs(120),
        rate: 1_000,
        keys: Keys::Fresh,
        lasts: Duration::from_secs(20 * 60),
    },
    capacity: 10_000,
    count: 100,
    per: HOUR,
    burst: 10,
};

/// The two above, and others.
pub(crate) fn cases() -> Vec<Case> {
    let with = |mut case: Case, change: fn(&mut Case)| {
        change(&mut case);
        case
    };
    vec![
        FAST,
        SLOW_QUOTA,
        with(FAST, |case| {
            case.scenario.name = "100,000 keys/s, each twice within 20 ms";
            case.scenario.keys = Keys::Twice { after: 1_000 };
        }),
        with(SLOW_QUOTA, |case| {
            case.scenario.name = "1,000 keys/s, each twice within 10 s";
            case.scenario.keys = Keys::Twice { after: 5_000 };
        }),
        with(SLOW_QUOTA, |case| {
            case.scenario.name = "50,000 keys in turn, each every 50 s";
            case.scenario.keys = Keys::Pool(50_000);
        }),
        with(SLOW_QUOTA, |case| {
            case.scenario.name = "fresh keys as fast as the known callers (8/s)";
            case.scenario.rate = 8;
        }),
        with(SLOW_QUOTA, |case| {
            case.scenario.name = "100 fresh keys/s, slower than cells refill";
            case.scenario.rate = 100;
        }),
        with(SLOW_QUOTA, |case| {
            case.scenario.name = "1,000 fresh keys/s, as many known callers as the capacity";
            case.scenario.known = 10_000;
        }),
        with(FAST, |case| {
            case.scenario.name = "10,000 fresh keys/s, quiet callers once a minute";
            case.scenario.rate = 10_000;
            case.scenario.period = MINUTE;
            case.scenario.lasts = 4 * MINUTE;
        }),
        with(SLOW_QUOTA, |case| {
            case.scenario.name = "1,000 fresh keys/s, a quota per day";
            case.count = 1_000;
            case.per = 24 * HOUR;
            case.burst = 100;
        }),
        with(SLOW_QUOTA, |case| {
            case.scenario.name = "no flood: 50,000 other callers, each every 6 s";
            case.scenario.keys = Keys::Pool(50_000);
            case.scenario.rate = 50_000 / 6;
            case.scenario.lasts = 5 * MINUTE;
            case.scenario.known = 100;
            case.scenario.new = 100;
            case.scenario.period = 6 * SECOND;
            case.per = MINUTE;
            case.burst = 100;
        }),
    ]
}
