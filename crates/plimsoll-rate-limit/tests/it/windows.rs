//! Every algorithm against an exact log, and the most that a greedy client gets.

use std::time::Duration;

use plimsoll_core::{Policy, policy::Verdict};
use plimsoll_rate_limit::{Quota, RateLimit};
use proptest::{collection::vec, prelude::*, sample::select};
use tokio::time::Instant;

use crate::{
    ask,
    exact::{Counted, Exact, Terms},
    greedy, limit, ms, revoke,
};

const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;
const DAY: u64 = 24 * 60 * MINUTE;

#[derive(Debug, Clone)]
enum Step {
    /// Thousandths of a period pass.
    Pass(u64),
    /// To the next window's start, or a nanosecond before or after it.
    Edge(u64),
    Jump(u64),
    Ask(u32),
    /// A request, and if rejected again a nanosecond too early and then in time.
    WaitOut(u32),
    /// A request that is revoked at once if admitted.
    Revoke(u32),
}

fn steps(most: u32) -> impl Strategy<Value = Vec<Step>> {
    let cost = prop_oneof![
        4 => Just(1_u32),
        2 => 0..=most.min(20) + 1,
        1 => 0..=most.saturating_add(1),
        1 => Just(most.div_ceil(3)),
    ];
    let step = prop_oneof![
        3 => (0_u64..400).prop_map(Step::Pass),
        1 => (1000_u64..3500).prop_map(Step::Pass),
        2 => (0_u64..3).prop_map(Step::Edge),
        1 => select(vec![MINUTE, DAY, 400 * DAY]).prop_map(Step::Jump),
        10 => cost.clone().prop_map(Step::Ask),
        2 => cost.clone().prop_map(Step::WaitOut),
        2 => cost.prop_map(Step::Revoke),
    ];
    vec(step, 1..100)
}

fn terms() -> impl Strategy<Value = Terms> {
    let period = select(vec![1_u64, 10, 999, 1_000_003, SECOND, MINUTE, DAY]);
    let count = prop_oneof![
        6 => 1_u32..120,
        1 => select(vec![1 << 10, 1 << 16, (1 << 20) - 1, 1 << 20]),
    ];
    (period, count, 0..3, 1_u32..40).prop_map(|(period, count, counted, burst)| match counted {
        0 => Terms {
            count: u64::from(count).min(period) as u32,
            period,
            counted: Counted::Bucket { burst },
        },
        1 => Terms {
            count,
            period,
            counted: Counted::Fixed,
        },
        _ => Terms {
            count,
            period,
            counted: Counted::Sliding,
        },
    })
}

/// A request of this cost: the permit, or the wait in nanoseconds, `None` for never.
fn weigh(
    limit: &impl Policy<u32, Permit = plimsoll_rate_limit::RateLimitPermit>,
    cost: u32,
    now: Instant,
) -> Result<plimsoll_rate_limit::RateLimitPermit, Option<u64>> {
    match limit.admit(&mut { cost }, now) {
        Verdict::Admit(permit) => Ok(permit),
        Verdict::Reject(rejection) => {
            Err(rejection.retry_after().map(|wait| wait.as_nanos() as u64))
        }
        Verdict::Wait(_) => unreachable!("a rate limit has no queue"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    /// The same decisions and waits as an exact log: `before * left / period + taken` without
    /// rounding.
    #[test]
    fn decides_like_an_exact_log(
        (terms, steps) in terms().prop_flat_map(|terms| (Just(terms), steps(terms.most()))),
    ) {
        let limit = limit(terms.quota()).cost(|cost: &u32| *cost);
        let start = Instant::now();
        assert!(limit.available(start) > 0); // the epoch
        let now = |at| start + Duration::from_nanos(at);
        let (mut at, mut exact) = (0, Exact::new(terms));
        for step in steps {
            match step {
                Step::Pass(thousandths) => at += terms.period * thousandths / 1000,
                Step::Edge(nanos) => at = at - at % terms.period + terms.period + nanos - 1,
                // Within the windows that a state of any limit can distinguish.
                Step::Jump(nanos) => at += nanos.min(terms.period << 10),
                Step::Ask(cost) => prop_assert_eq!(
                    weigh(&limit, cost, now(at)).map(drop),
                    exact.ask(at, cost),
                    "at {} ns", at
                ),
                Step::Revoke(cost) => {
                    let asked = weigh(&limit, cost, now(at));
                    prop_assert_eq!(asked.map(drop), exact.ask(at, cost), "at {} ns", at);
                    if let Ok(permit) = asked {
                        Policy::<u32>::revoke(&limit, permit, now(at), now(at));
                        if cost > 0 {
                            exact.remove_last();
                        }
                    }
                }
                Step::WaitOut(cost) => match weigh(&limit, cost, now(at)) {
                    Ok(_) => exact.take(at, cost.into()),
                    Err(None) => prop_assert!(cost > terms.most()),
                    Err(Some(wait)) => {
                        at += wait;
                        let early = weigh(&limit, cost, now(at - 1));
                        prop_assert_eq!(early.map(drop), Err(Some(1)), "before {} ns", at);
                        prop_assert!(weigh(&limit, cost, now(at)).is_ok(), "at {} ns", at);
                        exact.take(at, cost.into());
                    }
                },
            }
        }
    }

    /// At most `burst + t / increment` in any time, for any costs.
    #[test]
    fn a_bucket_admits_at_most_burst_and_refill_in_any_time(
        count in 1_u32..500,
        burst in 1_u32..50,
        asks in vec((0_u64..SECOND / 10, 0_u32..8), 1..150),
    ) {
        let limit = limit(Quota::per_second(count).burst(burst)).cost(|cost: &u32| *cost);
        let (start, increment) = (Instant::now(), SECOND.div_ceil(count.into()));
        let (mut at, mut log) = (0, Vec::new());
        for (gap, cost) in asks {
            at += gap;
            if weigh(&limit, cost, start + Duration::from_nanos(at)).is_err() {
                continue;
            }
            log.push((at, u64::from(cost)));
            let mut taken = 0;
            for (since, cost) in log.iter().rev() {
                taken += cost;
                prop_assert!(taken <= u64::from(burst) + (at - since) / increment);
            }
        }
    }

    /// No window admits more than the count, compared with a list of all admissions.
    #[test]
    fn a_fixed_window_admits_exactly_its_count(
        count in 1_u32..20,
        gaps in vec(0_u64..SECOND / 4, 1..200),
    ) {
        let limit = limit(Quota::per_second(count).fixed_window());
        let (start, mut at) = (Instant::now(), 0);
        let mut windows = std::collections::HashMap::<u64, u32>::new();
        assert!(limit.available(start) > 0); // the epoch
        for gap in gaps {
            at += gap;
            let admitted = greedy(&limit, start + Duration::from_nanos(at));
            let taken = windows.entry(at / SECOND).or_default();
            // A greedy client gets all of it, and no more.
            prop_assert_eq!(admitted as u32, count - *taken);
            *taken = count;
        }
    }
}

/// The most requests in any period, over greedy clients of many kinds: `first` requests at once, a
/// pause until some time, then as many as possible, each retry exactly after its wait.
fn worst_period(quota: Quota) -> usize {
    let period = quota.period().as_nanos() as u64;
    let mut worst = 0;
    for first in [0, 1, 50, 99, 100] {
        for hold in 0..=24 {
            for off in [0, 1, 2] {
                // From the first window to the third.
                let from = (hold * period / 8 + off).saturating_sub(1);
                let log = schedule(quota, first, from, from + 2 * period);
                let mut oldest = 0;
                for (newest, at) in log.iter().enumerate() {
                    while at - log[oldest] >= period {
                        oldest += 1;
                    }
                    worst = worst.max(newest + 1 - oldest);
                }
            }
        }
    }
    worst
}

fn schedule(quota: Quota, first: u32, from: u64, to: u64) -> Vec<u64> {
    let limit = limit(quota);
    let (start, mut at, mut log) = (Instant::now(), from, Vec::new());
    assert!(limit.available(start) > 0); // the epoch
    for _ in 0..first {
        if ask(&limit, start).is_ok() {
            log.push(0);
        }
    }
    while at < to {
        match ask(&limit, start + Duration::from_nanos(at)) {
            Ok(_) => log.push(at),
            Err(wait) => at += wait.as_nanos() as u64,
        }
    }
    log
}

#[test]
fn a_greedy_client_gets_the_documented_maximum() {
    let hundred = Quota::per_minute(100);
    assert_eq!(worst_period(hundred.fixed_window()), 200);
    // The 200th would be a whole minute after the first.
    assert_eq!(worst_period(hundred.sliding_window()), 199);
    assert_eq!(worst_period(hundred.burst(10)), 109);
    assert_eq!(worst_period(hundred.burst(100)), 199);
}

/// Cloudflare's example: 42 in the previous minute, 18 in this one, a quarter of it over: 42 *
/// 45/60 + 18 = 49.5.
#[test]
fn weighs_the_previous_minute_as_published() {
    for (count, passes) in [(50, false), (51, true)] {
        let limit = limit(Quota::per_minute(count).sliding_window());
        let start = Instant::now();
        for _ in 0..42 {
            assert!(ask(&limit, start).is_ok());
        }
        for _ in 0..18 {
            assert!(ask(&limit, start + ms(75_000)).is_ok());
        }
        let now = start + ms(75_000);
        assert_eq!(limit.available(now), u64::from(passes), "50.5 is over 50");
        assert_eq!(ask(&limit, now).is_ok(), passes);
    }
}

#[test]
fn a_clock_that_stands_still_starts_no_window() {
    for quota in [
        Quota::per_second(7).fixed_window(),
        Quota::per_second(7).sliding_window(),
    ] {
        let limit = limit(quota);
        let now = Instant::now();
        assert_eq!(greedy(&limit, now), 7);
        for _ in 0..1000 {
            assert!(ask(&limit, now).is_err());
        }
    }
}

#[test]
fn a_jump_starts_one_window() {
    for quota in [
        Quota::per_second(7).fixed_window(),
        Quota::per_second(7).sliding_window(),
    ] {
        let limit = limit(quota);
        let start = Instant::now();
        for days in [0, 1, 365, 365 * 34] {
            let now = start + Duration::from_nanos(DAY) * days;
            assert_eq!(greedy(&limit, now), 7, "after {days} days");
        }
    }
}

/// Threads may arrive out of order. A late one sees what has been taken since.
#[test]
fn a_late_thread_gets_no_more() {
    for quota in [
        Quota::per_second(7).fixed_window(),
        Quota::per_second(7).sliding_window(),
    ] {
        for late in [1_u64, 999, 1000, 1001, 1999, 2000, 2001, 3500, 7999] {
            let limit = limit(quota);
            let start = Instant::now();
            assert!(limit.available(start) > 0); // the epoch
            let now = start + ms(9999);
            assert_eq!(greedy(&limit, now), 7);
            assert_eq!(greedy(&limit, now - ms(late)), 0, "{late} ms late");
            assert_eq!(greedy(&limit, now), 0, "after one that was {late} ms late");
        }
    }
}

/// A wait is exact for a late thread, too.
#[test]
fn a_wait_is_exact_for_a_late_thread() {
    for quota in [
        Quota::per_second(7).fixed_window(),
        Quota::per_second(7).sliding_window(),
    ] {
        let limit = limit(quota);
        let start = Instant::now();
        assert!(limit.available(start) > 0); // the epoch
        assert_eq!(greedy(&limit, start + ms(1100)), 7);
        let late = start + ms(900);
        let wait = ask(&limit, late).expect_err("spent");
        assert!(ask(&limit, late + wait).is_ok(), "after {wait:?}");
    }
}

#[test]
fn a_refund_after_its_window_frees_nothing_of_another() {
    let limit = limit(Quota::per_second(3).fixed_window());
    let start = Instant::now();
    let early = ask(&limit, start).expect("empty");
    assert_eq!(greedy(&limit, start + ms(1000)), 3);
    revoke(&limit, early, start, start + ms(1000));
    assert_eq!(greedy(&limit, start + ms(1000)), 0);
}

/// A refund in the next window reduces the previous count, of which a part still counts.
#[test]
fn a_refund_one_window_later_reduces_a_sliding_window() {
    let limit = limit(Quota::per_second(4).sliding_window());
    let start = Instant::now();
    let permits: Vec<_> = (0..4).map(|_| ask(&limit, start).expect("empty")).collect();
    let later = start + ms(1000);
    assert_eq!(limit.available(later), 0);
    for permit in &permits[..2] {
        revoke(&limit, *permit, start, later);
    }
    assert_eq!(greedy(&limit, later), 2);
}

#[test]
fn the_largest_limits_are_exact() {
    for quota in [
        Quota::per_second(1 << 30).fixed_window(),
        Quota::per_second(1 << 20).sliding_window(),
    ] {
        let most = quota.count();
        let limit: RateLimit<1, _> = limit(quota).cost(|cost: &u32| *cost);
        let start = Instant::now();
        assert!(weigh(&limit, most - 1, start).is_ok());
        assert!(weigh(&limit, 2, start).is_err());
        assert!(weigh(&limit, 1, start).is_ok());
        assert_eq!(limit.available(start), 0);
        assert_eq!(limit.available(start + ms(5000)), u64::from(most));
        assert!(weigh(&limit, most, start + ms(5000)).is_ok());
    }
}
