//! Several threads on one bucket.

use std::thread;

use plimsoll_rate_limit::Quota;
use tokio::time::Instant;

use crate::{ask, greedy, limit, revoke};

const BURST: u32 = 10_000;

#[test]
fn two_threads_get_exactly_the_burst() {
    for _ in 0..20 {
        let limit = limit(Quota::per_hour(BURST));
        let now = Instant::now();
        let admitted: u64 = thread::scope(|scope| {
            let threads = [(); 2].map(|()| scope.spawn(|| greedy(&limit, now)));
            threads
                .map(|thread| thread.join().expect("no panic"))
                .iter()
                .sum()
        });
        assert_eq!(admitted, u64::from(BURST));
    }
}

#[test]
fn tokens_revoked_under_contention_are_all_refunded() {
    let limit = limit(Quota::per_hour(BURST));
    let now = Instant::now();
    let kept: u64 = thread::scope(|scope| {
        let threads = [(); 2].map(|()| {
            scope.spawn(|| {
                let permits: Vec<_> = (0..4000).filter_map(|_| ask(&limit, now).ok()).collect();
                let (kept, revoked) = permits.split_at(permits.len() / 4);
                for permit in revoked {
                    revoke(&limit, *permit, now, now);
                }
                kept.len() as u64
            })
        });
        threads
            .map(|thread| thread.join().expect("no panic"))
            .iter()
            .sum()
    });
    assert_eq!(kept, 2000);
    assert_eq!(limit.available(now), u64::from(BURST) - kept);
}
