//! The rate during a warm-up.

use std::time::Duration;

use plimsoll_core::{Policy, policy::Verdict};
use plimsoll_rate_limit::{Quota, RateLimit, WarmUp};
use proptest::{collection::vec, prelude::*};
use tokio::time::Instant;

use crate::{ask, greedy, limit, ms, revoke};

const SECOND: u64 = 1_000_000_000;

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// 100 per second, burst 10, from a quarter of it within 20 s, after a minute without a request.
fn warming() -> RateLimit {
    let warm_up = WarmUp::new(4, secs(20)).after_idle(secs(60));
    limit(Quota::per_second(100).burst(10))
        .warm_up(warm_up)
        .expect("valid")
}

/// Requests that a greedy client gets within `stretch`, after it has emptied the bucket.
fn admitted(limit: &RateLimit, from: Instant, stretch: Duration) -> u64 {
    greedy(limit, from);
    let steps = stretch.as_millis() as u64;
    (1..=steps).map(|at| greedy(limit, from + ms(at))).sum()
}

fn about(got: u64, expected: u64) {
    assert!(
        got <= expected && got + 2 + expected / 50 >= expected,
        "{got} instead of {expected}"
    );
}

#[test]
fn the_rate_rises_linearly() {
    let limit = warming();
    let start = Instant::now();
    // The mean rates of the quarters of the warm-up, from 25 per second to 100 within 20 s.
    for (quarter, rate) in [(0, 34.375), (1, 53.125), (2, 71.875), (3, 90.625)] {
        let got = admitted(&limit, start + secs(quarter * 5), secs(5));
        about(got, (rate * 5.0) as u64 + 1);
    }
    about(admitted(&limit, start + secs(20), secs(5)), 500);
    about(admitted(&limit, start + secs(25), secs(5)), 500);
}

#[test]
fn the_first_half_of_a_warm_up_admits_less_than_the_second() {
    let limit = warming();
    let start = Instant::now();
    let first = admitted(&limit, start, secs(10));
    let second = admitted(&limit, start + secs(10), secs(10));
    about(first, 438);
    about(second, 813);
}

#[test]
fn the_burst_shrinks_with_the_rate() {
    let limit = warming();
    let start = Instant::now();
    assert_eq!(greedy(&limit, start), 2, "a quarter of ten");
    let half = start + secs(10);
    assert_eq!(greedy(&limit, half), 6, "five eighths of ten");
    assert_eq!(greedy(&limit, start + secs(30)), 10);
}

#[test]
fn only_a_long_enough_idle_time_starts_a_warm_up() {
    let limit = warming();
    let start = Instant::now();
    admitted(&limit, start, secs(30));
    let paused = start + secs(30) + secs(59);
    assert_eq!(greedy(&limit, paused), 10, "still warm");
    // The bucket is full a tenth of a second later; from then on it is idle.
    let later = paused + secs(60) + ms(101);
    assert_eq!(greedy(&limit, later), 2, "cold");
    about(admitted(&limit, later, secs(10)), 438);
}

/// With any burst: a cold bucket holds at least one token.
#[test]
fn a_cold_limit_admits_one_at_a_time() {
    for burst in [1, 2, 3] {
        let limit = limit(Quota::per_second(100).burst(burst))
            .warm_up(WarmUp::new(10, secs(20)))
            .expect("valid");
        let start = Instant::now();
        assert_eq!(greedy(&limit, start), 1, "burst {burst}");
        about(admitted(&limit, start, secs(1)), 12);
    }
}

/// A cost above the cold burst and within the full burst is rejected with a wait.
#[test]
fn a_cost_within_the_full_burst_is_admitted_after_its_wait() {
    let limit = warming().cost(|cost: &u32| *cost);
    let start = Instant::now();
    let wait = |cost: u32, now| match limit.admit(&mut { cost }, now) {
        Verdict::Admit(_) => None,
        Verdict::Reject(rejection) => Some(rejection.retry_after()),
        Verdict::Wait(_) => unreachable!("a rate limit has no queue"),
    };
    assert_eq!(wait(1, start), None);
    assert_eq!(wait(11, start), Some(None), "more than the full burst");
    // It needs the full burst: 8.5 tokens, of at most 40 ms each, are missing.
    let due = wait(10, start).expect("cold").expect("a finite wait");
    assert!(due > ms(330) && due <= ms(340), "{due:?}");
    assert_eq!(wait(10, start + due), None);
    let next = wait(1, start + due)
        .expect("ten were taken")
        .expect("a finite wait");
    assert!(next > ms(35) && next <= ms(40), "{next:?}");
}

/// At a rate of 1/1000 per second that rises to 1 within ten seconds: g/1000 + 0.999 g²/20 = 1.
#[test]
fn the_next_token_is_due_when_the_integral_of_the_rate_is_one() {
    let limit = limit(Quota::per_second(1))
        .warm_up(WarmUp::new(1000, secs(10)))
        .expect("valid");
    let start = Instant::now();
    assert_eq!(greedy(&limit, start), 1);
    assert_eq!(limit.available(start), 0);
    let wait = ask(&limit, start).expect_err("spent");
    let due = (-0.001 + (0.001_f64.powi(2) + 4.0 * 0.04995).sqrt()) / (2.0 * 0.04995);
    assert!(
        (wait.as_secs_f64() - due).abs() < 1e-6,
        "{wait:?}, not {due}"
    );
    // Exact to the nanosecond.
    assert!(ask(&limit, start + wait - Duration::from_nanos(1)).is_err());
    assert!(ask(&limit, start + wait).is_ok());
    // 5.005 tokens in ten seconds, and one per second after that: 7.47 at the end, of which one is
    // taken.
    let more = (0..=80).map(|tenths| greedy(&limit, start + wait + ms(100 * tenths)));
    assert_eq!(more.sum::<u64>(), 6);
}

#[test]
fn waits_of_a_cold_limit_are_exact() {
    let limit = warming();
    let mut now = Instant::now();
    let end = now + secs(25);
    while now < end {
        if let Err(wait) = ask(&limit, now) {
            assert!(ask(&limit, now + wait - Duration::from_nanos(1)).is_err());
            now += wait;
            assert!(ask(&limit, now).is_ok());
        }
    }
}

#[test]
fn a_request_is_admitted_after_its_wait() {
    let limit = warming();
    let (mut now, mut waited) = (Instant::now(), 0);
    let end = now + secs(25);
    while now < end {
        if let Err(wait) = ask(&limit, now) {
            waited += 1;
            now += wait;
            assert!(ask(&limit, now).is_ok());
        }
    }
    assert!(waited > 1000);
}

#[test]
fn a_warm_up_can_be_changed_while_it_runs() {
    let limit = warming();
    let handle = limit.handle();
    let start = Instant::now();
    about(admitted(&limit, start, secs(5)), 172);
    // Twice as long: at 5 s of 40 s the rate is 25 + 75 / 8 per second.
    let slower = WarmUp::new(4, secs(40));
    assert_eq!(handle.set_warm_up(slower), Ok(true));
    about(admitted(&limit, start + secs(5), secs(5)), 195);
    // The whole rate at once.
    let warm = WarmUp::new(1, secs(1));
    assert_eq!(handle.set_warm_up(warm), Ok(true));
    about(admitted(&limit, start + secs(10), secs(5)), 500);

    assert!(handle.set_warm_up(WarmUp::new(0, secs(1))).is_err());
    let plain = self::limit(Quota::per_second(1));
    assert_eq!(plain.handle().set_warm_up(warm), Ok(false));
}

#[test]
fn a_quota_can_be_changed_during_a_warm_up() {
    let limit = warming();
    let start = Instant::now();
    about(admitted(&limit, start, secs(10)), 438);
    let double = Quota::per_second(200).burst(10);
    limit.handle().set_quota(double).expect("valid");
    about(admitted(&limit, start + secs(10), secs(10)), 1626);
}

#[test]
fn a_token_taken_cold_and_revoked_at_once_is_refunded_in_full() {
    let limit = warming();
    let now = Instant::now();
    for _ in 0..100 {
        let permit = ask(&limit, now).expect("refunded");
        revoke(&limit, permit, now, now);
    }
    assert_eq!(greedy(&limit, now), 2);
}

/// A token taken before an idle time is not refunded at the rate of the warm-up.
#[test]
fn a_token_taken_before_an_idle_time_frees_nothing_after_it() {
    let warm_up = WarmUp::new(100, secs(20)).after_idle(ms(10));
    let limit = limit(Quota::per_second(100).burst(1));
    let limit = limit.warm_up(warm_up).expect("valid");
    let start = Instant::now();
    about(admitted(&limit, start, secs(30)), 2010);
    let warm = start + secs(30) + ms(10);
    let early = ask(&limit, warm).expect("one was refilled");
    // It was refilled and the limit was idle. The next token takes 460 ms: 100 * (0.01 t + 0.99 t²
    // / 40) = 1.
    let paused = warm + ms(21);
    assert_eq!(greedy(&limit, paused), 1);
    revoke(&limit, early, warm, paused);
    assert_eq!(greedy(&limit, paused + ms(450)), 0);
    assert_eq!(greedy(&limit, paused + ms(470)), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// In any part of a warm-up, at most the integral of the rate, and a burst (of at least one).
    #[test]
    fn never_more_than_the_ramp_and_a_burst(
        cold in 1_u32..20,
        burst in 1_u32..30,
        over in 1_u64..30,
        gaps in vec(prop_oneof![3 => 0..SECOND / 50, 1 => 0..SECOND], 1..300),
    ) {
        // The idle time is too long for a second warm-up.
        let warm_up = WarmUp::new(cold, secs(over)).after_idle(secs(100_000));
        let limit = limit(Quota::per_second(100).burst(burst)).warm_up(warm_up).expect("valid");
        let start = Instant::now();
        assert!(limit.available(start) > 0); // the epoch
        let (mut at, mut log) = (0, Vec::new());
        // The integral of the rate until `at`, in seconds: 100 * (t / cold + (1 - 1 / cold) * t² /
        // (2 * over)).
        let ramp = |nanos: u64| {
            let (t, over) = (nanos as f64 / 1e9, over as f64);
            let (rising, least) = (t.min(over), 1.0 / f64::from(cold));
            100.0 * (least * rising + (1.0 - least) * rising * rising / (2.0 * over) + (t - rising))
        };
        for gap in gaps {
            at += gap;
            let admitted = greedy(&limit, start + Duration::from_nanos(at));
            log.push((at, admitted));
            let mut taken = 0;
            for (since, admitted) in log.iter().rev() {
                taken += admitted;
                let most = ramp(at) - ramp(*since) + f64::from(burst);
                prop_assert!(taken as f64 <= most + 1e-6, "{taken} of {most}");
            }
        }
    }
}
