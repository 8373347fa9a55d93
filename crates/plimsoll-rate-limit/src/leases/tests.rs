//! A bucket with leases against a bucket without.

use plimsoll_core::policy::Live;
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
    leases: Leases,
    refunds: Refunds<1>,
}

impl Bucket {
    fn new(burst: u64, cores: usize) -> Self {
        Self {
            quotas: [Live::new([T, burst * T, 0, 0])],
            tag: AtomicU64::new(0),
            words: [AtomicU64::new(0)],
            leases: Leases::new(cores).expect("several cores"),
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

    fn take(&self, shard: usize, now: u64, cost: u32) -> Result<Token<1>, Empty> {
        self.leases.take_in(shard, self.cell(), now, cost)
    }

    fn refund(&self, token: Token<1>, admitted: u64, now: u64) {
        let ledger = Ledger {
            refunds: &self.refunds,
            owner: 0,
            leased: true,
        };
        self.cell().refund(token, (admitted, now), ledger);
    }
}

/// At most `burst + t / T` in any time `t` that ends with the newest admission that was not
/// refunded.
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

    /// One thread gets the same decisions, waits and remaining tokens as from the bucket.
    #[test]
    fn one_lease_decides_like_the_bucket(
        burst in 1_u64..600,
        steps in vec((0_u64..20_000, 0_u32..4), 1..200),
    ) {
        let bucket = Bucket::new(burst, 2);
        let gcra = Gcra { increment: T, capacity: burst * T };
        let (mut tat, mut now) = (0, 0);
        for (gap, cost) in steps {
            // Mostly near the rate, with occasional pauses.
            now += if gap < 19_000 { gap % 350 } else { gap };
            let decided = bucket.take(0, now, cost).map(drop).map_err(|empty| empty.wait);
            let expected = gcra.decide(tat, now, cost);
            prop_assert_eq!(decided, expected.map(drop), "at {}", now);
            tat = expected.unwrap_or(tat);
            let left = bucket.leases.remaining(bucket.cell(), now);
            prop_assert_eq!(left, gcra.remaining(tat, now), "left at {}", now);
        }
    }

    /// Any order of taking and refunding keeps the quota, and no request is rejected while there is
    /// a token.
    #[test]
    fn all_leases_together_keep_the_quota(
        burst in 30_u64..600,
        steps in vec((0_u64..20_000, 0_usize..4, 0_u32..4, any::<prop::sample::Index>()), 1..400),
    ) {
        let bucket = Bucket::new(burst, 4);
        let mut log: Vec<(u64, u32, Token<1>)> = Vec::new();
        let mut now = 0;
        for (gap, shard, cost, index) in steps {
            now += if gap < 19_500 { gap % 130 } else { gap };
            if gap % 7 == 0 && !log.is_empty() {
                let (at, _, token) = log.remove(index.index(log.len()));
                bucket.refund(token, at, now);
                continue;
            }
            let left = bucket.leases.remaining(bucket.cell(), now);
            match bucket.take(shard, now, cost) {
                Ok(token) => log.push((now, cost, token)),
                Err(_) => prop_assert!(left < cost.into(), "rejected with {left} left"),
            }
            let stands: Vec<_> = log.iter().map(|(at, cost, _)| (*at, *cost)).collect();
            prop_assert!(within(&stands, burst), "too many by {}", now);
        }
    }
}

/// All but one of the waiters of a bucket with leases are refunded, in several orders.
#[test]
fn waiters_with_leases_are_refunded_what_they_took() {
    for order in [1, 371, 999] {
        let bucket = Bucket::new(1000, 2);
        let tokens: Vec<_> = (0..900)
            .map(|n| bucket.take(n % 2, 0, 1).expect("full"))
            .collect();
        let now = 50 * T;
        for n in 0..1000_usize {
            // Coprime to 1,000, so each index once. The last waiter is not refunded.
            if let Some(token) = tokens[..899].get(n * order % 1000) {
                bucket.refund(*token, 0, now);
            }
        }
        let left = bucket.leases.remaining(bucket.cell(), now);
        assert!(left >= 900, "{left} in order {order}");
    }
}

#[test]
fn a_lease_of_a_replaced_quota_is_not_spent() {
    let bucket = Bucket::new(1000, 2);
    bucket.take(0, 0, 1).expect("full");
    assert!(bucket.leases.leased(0, 0) > 0);
    bucket.quotas[0].set([10 * T, 1000 * T, 0, 0]);
    bucket.take(0, 0, 1).expect("tokens are left");
    let word = Word(bucket.words[0].load(Acquire));
    assert!(word.is_of(1), "taken from the bucket, under the new quota");
    // The new burst is 100 tokens. One token and the batch of the lease have been taken.
    let taken = (0..1000).filter(|_| bucket.take(0, 0, 1).is_ok()).count();
    assert!((30..100).contains(&taken), "{taken}");
}

#[test]
fn threads_share_one_burst() {
    for _ in 0..20 {
        let bucket = Bucket::new(10_000, 4);
        let taken: usize = std::thread::scope(|scope| {
            let threads = [0, 1, 2].map(|shard| {
                let bucket = &bucket;
                scope.spawn(move || {
                    (0..10_000)
                        .filter(|_| bucket.take(shard, 0, 1).is_ok())
                        .count()
                })
            });
            threads
                .map(|thread| thread.join().expect("no panic"))
                .iter()
                .sum()
        });
        assert!(taken <= 10_000);
        // A lease that was locked while another thread looked was not returned.
        let rest = (0..10_000).filter(|_| bucket.take(0, 0, 1).is_ok()).count();
        assert_eq!(taken + rest, 10_000);
    }
}

#[test]
fn tokens_in_the_lease_of_another_shard_are_not_lost() {
    const BURST: u64 = 10_000;
    let bucket = Bucket::new(BURST, 4);
    assert!(bucket.take(0, 0, 1).is_ok());
    assert!(
        bucket.leases.leased(0, 0) > T,
        "the first shard has a lease"
    );
    let others = (0..BURST).filter(|_| bucket.take(1, 0, 1).is_ok()).count();
    assert_eq!(others as u64, BURST - 1);
}

#[test]
fn tokens_taken_after_a_lease_move_up_when_its_rest_is_returned() {
    for later in [0, 1] {
        let bucket = Bucket::new(10_000, 4);
        assert!(bucket.take(0, 0, 1).is_ok());
        for _ in 0..later {
            assert!(bucket.cell().take(0, 1).is_ok());
        }
        let rest = bucket.leases.leased(0, 0).div_ceil(T);
        assert!(rest > 1);
        assert!(bucket.leases.shards[0].return_rest(bucket.cell(), 0));
        assert_eq!(
            bucket.tag.load(Acquire),
            later * rest,
            "tokens that moved up"
        );
    }
}

#[test]
fn a_lease_is_a_sixteenth_of_the_burst_and_at_least_four_tokens() {
    for (burst, leased) in [(64, 4), (63, 0), (1, 0), (1600, 100)] {
        let bucket = Bucket::new(burst, 2);
        assert!(bucket.take(0, 0, 1).is_ok());
        assert_eq!(bucket.leases.leased(0, 0), leased * T, "a burst of {burst}");
        let [lease, _] = &*bucket.leases.shards else {
            panic!("two leases");
        };
        let is_used = lease.next.load(Acquire) != 0;
        assert_eq!(is_used, leased > 0, "a burst of {burst}");
        assert_eq!(lease.return_rest(bucket.cell(), 0), leased > 0);
        assert!(!lease.return_rest(bucket.cell(), 0), "nothing is left");
    }
}

#[test]
fn leases_are_used_once_two_threads_have_met() {
    let leases = Leases::new(2).expect("two");
    assert!(!leases.are_active());
    leases.activate();
    assert!(leases.are_active());
}

#[test]
fn a_thread_that_was_suspended_does_not_spend_a_newer_lease_of_equal_length() {
    let lease = Lease::new();
    let end = Word::new(0, 10 * T);
    let held = lease.lock().expect("not locked");
    lease.unlock(held, T, end);
    let old = lease.lock().expect("not locked");
    lease.unlock(old, T, end);
    let new = Word(lease.next.load(Acquire));
    assert_eq!(new.state(), old.state());
    assert_ne!(new, old, "compared when a token is taken");
}
