//! The bucket against slow, simple models.

use std::time::Duration;

use plimsoll_rate_limit::{Quota, RateLimitPermit};
use proptest::{collection::vec, prelude::*};
use tokio::time::Instant;

use crate::{ask, limit, revoke};

const MS: u64 = 1_000_000;

/// A bucket that is refilled at every step. A token is `increment` units; each nanosecond adds one
/// unit.
struct Counted {
    increment: u128,
    burst: u128,
    level: u128,
    at: u64,
}

impl Counted {
    fn new(increment: u64, burst: u32) -> Self {
        let (increment, burst) = (increment.into(), burst.into());
        Self {
            increment,
            burst,
            level: increment * burst,
            at: 0,
        }
    }

    fn ask(&mut self, at: u64) -> Result<(), u64> {
        self.level = (self.level + u128::from(at - self.at)).min(self.increment * self.burst);
        self.at = at;
        if self.level < self.increment {
            return Err((self.increment - self.level) as u64);
        }
        self.level -= self.increment;
        Ok(())
    }
}

/// Admissions that were not revoked, in order.
#[derive(Default)]
struct Log(Vec<(u64, RateLimitPermit)>);

impl Log {
    /// Whether one more at `at` is within the quota.
    ///
    /// For each entry k, at most the burst and what was refilled since. That is "at most `burst + t
    /// / increment` in any time t", also when the clock went backwards.
    fn allows(&self, at: u64, increment: u64, burst: u32) -> bool {
        let within = |(k, (since, _)): (usize, &(u64, _))| {
            let taken = (self.0.len() - k) as u64 * increment;
            since + taken <= at + u64::from(burst - 1) * increment
        };
        self.0.iter().enumerate().all(within)
    }
}

#[derive(Debug, Clone)]
enum Step {
    Forward(u64),
    Back(u64),
    Ask,
    Revoke(prop::sample::Index),
    RevokeNewest,
}

fn steps(back: u32, revoke: u32) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        2 => (0..250 * MS).prop_map(Step::Forward),
        1 => (0..30_u64).prop_map(|ms| Step::Forward(ms * 50 * MS)),
        back => (0..2000 * MS).prop_map(Step::Back),
        8 => Just(Step::Ask),
        revoke => any::<prop::sample::Index>().prop_map(Step::Revoke),
        1 => Just(Step::RevokeNewest),
    ];
    vec(step, 1..150)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// The same decisions and waits as a bucket that is refilled at every step.
    #[test]
    fn decides_like_a_counted_bucket(
        count in 1_u32..2000,
        burst in 1_u32..30,
        gaps in vec(0_u64..400 * MS, 1..200),
    ) {
        let limit = limit(Quota::per_second(count).burst(burst));
        let start = Instant::now();
        let mut model = Counted::new((1000 * MS).div_ceil(count.into()), burst);
        let mut at = 0;
        for gap in gaps {
            at += gap * u64::from(burst) / u64::from(count);
            let got = ask(&limit, start + Duration::from_nanos(at));
            let expected = model.ask(at).map_err(Duration::from_nanos);
            prop_assert_eq!(got.map(drop), expected, "at {} ns", at);
        }
    }

    /// Any order of admissions and revocations, also with late threads: what is not revoked is
    /// within the quota.
    #[test]
    fn never_more_than_the_quota_in_any_time(burst in 1_u32..12, steps in steps(1, 6)) {
        let limit = limit(Quota::per_second(10).burst(burst));
        let (start, increment) = (Instant::now(), 100 * MS);
        assert!(limit.available(start) > 0); // the epoch
        let (mut at, mut latest, mut log) = (0_u64, 0, Log::default());
        for step in steps {
            latest = at.max(latest);
            match step {
                Step::Forward(nanos) => at += nanos,
                Step::Back(nanos) => at = at.saturating_sub(nanos),
                Step::Ask => {
                    if let Ok(permit) = ask(&limit, start + Duration::from_nanos(at)) {
                        prop_assert!(log.allows(at, increment, burst), "one too many at {} ns", at);
                        log.0.push((at, permit));
                    }
                }
                Step::Revoke(index) if !log.0.is_empty() => {
                    let (admitted, permit) = log.0.remove(index.index(log.0.len()));
                    let at = latest;
                    revoke(&limit, permit, start + Duration::from_nanos(admitted), start + Duration::from_nanos(at));
                }
                Step::RevokeNewest => if let Some((admitted, permit)) = log.0.pop() {
                    let at = latest;
                    revoke(&limit, permit, start + Duration::from_nanos(admitted), start + Duration::from_nanos(at));
                },
                Step::Revoke(_) => {}
            }
        }
    }

    /// A token that is revoked at once, as between fused policies, leaves no trace.
    #[test]
    fn a_token_revoked_at_once_leaves_no_trace(burst in 1_u32..12, steps in steps(0, 0)) {
        let limit = limit(Quota::per_second(10).burst(burst));
        let (start, mut at) = (Instant::now(), 0);
        assert!(limit.available(start) > 0); // the epoch
        let mut model = Counted::new(100 * MS, burst);
        for step in steps {
            let now = start + Duration::from_nanos(at);
            match step {
                Step::Forward(nanos) => at += nanos,
                Step::RevokeNewest => if let Ok(permit) = ask(&limit, now) {
                    revoke(&limit, permit, now, now);
                },
                _ => prop_assert_eq!(
                    ask(&limit, now).map(drop),
                    model.ask(at).map_err(Duration::from_nanos),
                    "at {} ns", at
                ),
            }
        }
    }
}
