//! Quiet callers are served during floods of made-up keys.

#[path = "../../examples/floods/scenarios.rs"]
mod scenarios;
#[path = "../../examples/floods/sim.rs"]
mod sim;

use std::time::Duration;

use plimsoll_core::{Missing, Policy, policy::Verdict};
use plimsoll_rate_limit::{KeyedRateLimit, RateLimit};

use self::{
    scenarios::{Case, FAST, SLOW_QUOTA, cases},
    sim::{Figures, Keys, run},
};

fn limit(case: Case) -> KeyedRateLimit<fn(&u64) -> Option<u64>> {
    let key: fn(&u64) -> Option<u64> = |key| Some(*key);
    RateLimit::new(case.quota())
        .expect("valid")
        .per_key(key, Missing::Share, case.capacity)
        .expect("valid")
}

fn flooded(case: Case) -> Figures {
    let limit = limit(case);
    let figures = run(case.scenario, |mut key, now| {
        matches!(limit.admit(&mut key, now), Verdict::Admit(_))
    });
    let handle = limit.handle();
    assert!(handle.keys() <= handle.capacity());
    figures
}

/// A fifth of the table and of the traffic.
fn fifth(mut case: Case) -> Case {
    let scenario = &mut case.scenario;
    scenario.rate = scenario.rate.div_ceil(5);
    scenario.known /= 5;
    scenario.new /= 5;
    scenario.keys = match scenario.keys {
        Keys::Fresh => Keys::Fresh,
        Keys::Twice { after } => Keys::Twice { after: after / 5 },
        Keys::Pool(keys) => Keys::Pool(keys / 5),
    };
    case.capacity /= 5;
    case
}

/// Two floods that were reported to reject 92 % and 69 % of the requests of quiet callers.
#[test]
fn law_07_known_callers_are_served_in_a_flood_of_keys() {
    for (mut case, secs, new) in [(FAST, 4, 0.99), (SLOW_QUOTA, 300, 0.75)] {
        let name = case.scenario.name;
        // Shorter than in the example, and long enough for cells to run empty.
        case.scenario.lasts = Duration::from_secs(secs);
        let figures = flooded(case);
        let (known, new_rejected) = (figures.known.share(), figures.new.share());
        assert!(figures.known.requests > 50 && figures.new.requests > 50);
        assert!(known < 0.01, "{name}: {known} of known callers' requests");
        assert!(
            new_rejected < new,
            "{name}: {new_rejected} of new callers' requests"
        );
        assert!(figures.flood.share() > 0.3, "{name}: the flood is limited");
    }
}

#[test]
fn known_callers_are_served_in_floods_of_all_kinds() {
    for case in cases().into_iter().skip(2) {
        let mut case = fifth(case);
        // Shorter than in the example, and long enough for cells to run empty.
        let most = Duration::from_secs(50_000) / case.scenario.rate as u32;
        case.scenario.lasts = case.scenario.lasts.min(most);
        let name = case.scenario.name;
        let known = flooded(case).known.share();
        assert!(known < 0.01, "{name}: {known} of known callers' requests");
    }
}

/// Cells of callers that have left are not kept forever.
#[test]
fn a_key_is_no_longer_known_five_minutes_after_its_last_request() {
    let (limit, start) = (limit(SLOW_QUOTA), tokio::time::Instant::now());
    let admits = |mut key: u64, now| matches!(limit.admit(&mut key, now), Verdict::Admit(_));
    // Enough keys to leave no cell empty.
    for key in 0..60_000 {
        admits(key, start);
        admits(key, start);
    }
    let handle = limit.handle();
    // Two tokens are refilled in 72 seconds, and the cells are kept for 300 more.
    let (kept, free) = (
        start + Duration::from_secs(370),
        start + Duration::from_secs(373),
    );
    let overflowed = handle.overflowed();
    admits(99_999, kept);
    assert_eq!(handle.overflowed(), overflowed + 1);
    admits(99_999, free);
    assert_eq!(handle.overflowed(), overflowed + 1);
    assert!(handle.available(99_999_u64, free).is_some());
}

/// The same after a change of the quota, when no cell was written since.
#[test]
fn a_changed_quota_does_not_keep_the_cells_of_keys_that_have_left() {
    let (limit, start) = (limit(SLOW_QUOTA), tokio::time::Instant::now());
    let admits = |mut key: u64, now| matches!(limit.admit(&mut key, now), Verdict::Admit(_));
    // Enough keys to leave no cell empty.
    for key in 0..60_000 {
        admits(key, start);
        admits(key, start);
    }
    let handle = limit.handle();
    handle
        .limit()
        .set_quota(SLOW_QUOTA.quota().burst(20))
        .expect("valid");
    // The first read is an hour later. A cell is kept for five minutes from then on.
    let hour = start + Duration::from_secs(60 * 60);
    admits(99_999, hour);
    assert_eq!(handle.available(99_999_u64, hour), None);
    let later = hour + Duration::from_secs(301);
    admits(99_999, later);
    assert!(handle.available(99_999_u64, later).is_some());
}
