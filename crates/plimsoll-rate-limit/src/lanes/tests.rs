//! Leases against a bucket without any.

use plimsoll_core::Live;
use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{
    refunds::{Ledger, Refunds},
    terms::LiveQuota,
};

const T: u64 = 100;

struct Bucket {
    quotas: [LiveQuota; 1],
    tag: AtomicU64,
    words: [AtomicU64; 1],
    lanes: Lanes,
    refunds: Refunds<1>,
}

impl Bucket {
    fn new(burst: u64, cores: usize) -> Self {
        Self {
            quotas: [Live::new([T, burst * T, 0, 0])],
            tag: AtomicU64::new(0),
            words: [AtomicU64::new(0)],
            lanes: Lanes::new(cores).expect("several cores"),
            refunds: Refunds::new(),
        }
    }

    fn cell(&self) -> Cell<'_, 1> {
        Cell {
            quotas: &self.quotas,
            tag: &self.tag,
            words: &self.words,
        }
    }

    fn take(&self, lane: usize, now: u64, cost: u32) -> Result<Token<1>, Empty> {
        self.lanes.take_in(lane, self.cell(), now, cost)
    }

    fn give_back(&self, token: Token<1>, admitted: u64, now: u64) {
        let ledger = Ledger {
            refunds: &self.refunds,
            owner: 0,
            leased: true,
        };
        self.cell().give_back(token, (admitted, now), ledger);
    }
}

/// At most `burst + t / T` in any stretch of time that ends with the newest of what was let in and stands.
fn within(log: &[(u64, u32)], burst: u64) -> bool {
    let Some((now, _)) = log.last() else {
        return true;
    };
    let mut sum = 0;
    log.iter().rev().all(|(at, cost)| {
        sum += u64::from(*cost);
        sum * T <= burst * T + (now - at)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// One thread sees no difference: same verdict, same wait, same number of tokens left.
    #[test]
    fn one_lane_decides_as_the_bucket_does(
        burst in 1_u64..600,
        steps in vec((0_u64..20_000, 0_u32..4), 1..200),
    ) {
        let bucket = Bucket::new(burst, 2);
        let gcra = Gcra { increment: T, capacity: burst * T };
        let (mut tat, mut now) = (0, 0);
        for (gap, cost) in steps {
            // Mostly near the rate, now and then a pause.
            now += if gap < 19_000 { gap % 350 } else { gap };
            let said = bucket.take(0, now, cost).map(drop).map_err(|empty| empty.wait);
            let asked = gcra.ask(tat, now, cost);
            prop_assert_eq!(said, asked.map(drop), "at {}", now);
            tat = asked.unwrap_or(tat);
            let left = bucket.cell().remaining_with(&bucket.lanes, now);
            prop_assert_eq!(left, gcra.remaining(tat, now), "left at {}", now);
        }
    }

    /// Whatever lanes take when, and give back: never more than the quota, and never a refusal while there is a token.
    #[test]
    fn all_lanes_together_keep_the_quota(
        burst in 30_u64..600,
        steps in vec((0_u64..20_000, 0_usize..4, 0_u32..4, any::<prop::sample::Index>()), 1..400),
    ) {
        let bucket = Bucket::new(burst, 4);
        let mut log: Vec<(u64, u32, Token<1>)> = Vec::new();
        let mut now = 0;
        for (gap, lane, cost, index) in steps {
            now += if gap < 19_500 { gap % 130 } else { gap };
            if gap % 7 == 0 && !log.is_empty() {
                let (at, _, token) = log.remove(index.index(log.len()));
                bucket.give_back(token, at, now);
                continue;
            }
            let left = bucket.cell().remaining_with(&bucket.lanes, now);
            match bucket.take(lane, now, cost) {
                Ok(token) => log.push((now, cost, token)),
                Err(_) => prop_assert!(left < cost.into(), "refused with {left} left"),
            }
            let stands: Vec<_> = log.iter().map(|(at, cost, _)| (*at, *cost)).collect();
            prop_assert!(within(&stands, burst), "too many by {}", now);
        }
    }
}

/// Waiters of a hot bucket, of which one runs: the others get back what they took, in whichever order.
#[test]
fn waiters_with_leases_get_back_what_they_took() {
    for order in [1, 371, 999] {
        let bucket = Bucket::new(1000, 2);
        let tokens: Vec<_> = (0..900)
            .map(|n| bucket.take(n % 2, 0, 1).expect("full"))
            .collect();
        let now = 50 * T;
        for n in 0..1000_usize {
            // Coprime to a thousand: each once. The last one runs.
            if let Some(token) = tokens[..899].get(n * order % 1000) {
                bucket.give_back(*token, 0, now);
            }
        }
        let left = bucket.cell().remaining_with(&bucket.lanes, now);
        assert!(left >= 900, "{left} in order {order}");
    }
}

#[test]
fn a_lease_of_a_replaced_quota_is_not_spent() {
    let bucket = Bucket::new(1000, 2);
    bucket.take(0, 0, 1).expect("full");
    assert!(bucket.lanes.leased(0, 0) > 0);
    bucket.quotas[0].set([10 * T, 1000 * T, 0, 0]);
    // A hundred fit now, and one, and what its lease held, has been taken.
    let taken = (0..1000).filter(|_| bucket.take(0, 0, 1).is_ok()).count();
    assert!((30..100).contains(&taken), "{taken}");
}

#[test]
fn threads_share_one_burst() {
    for _ in 0..20 {
        let bucket = Bucket::new(10_000, 4);
        let taken: usize = std::thread::scope(|scope| {
            let threads = [0, 1, 2].map(|lane| {
                let bucket = &bucket;
                scope.spawn(move || {
                    (0..10_000)
                        .filter(|_| bucket.take(lane, 0, 1).is_ok())
                        .count()
                })
            });
            threads
                .map(|thread| thread.join().expect("no panic"))
                .iter()
                .sum()
        });
        assert!(taken <= 10_000);
        // A lease that was being taken when another looked is not called back.
        let rest = (0..10_000).filter(|_| bucket.take(0, 0, 1).is_ok()).count();
        assert_eq!(taken + rest, 10_000);
    }
}
