//! Many tasks on several threads, cancelled at every stage.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use plimsoll_rate_limit::LeakyBucket;
use tokio::time::timeout;

use super::{call, of};

const INTERVAL: Duration = Duration::from_micros(250);

#[test]
fn the_rate_is_kept_and_every_waiter_is_served() {
    for round in 0..4_u64 {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(4)
            .enable_time()
            .build()
            .expect("a runtime");
        let bucket = LeakyBucket::new(1, INTERVAL).and_then(|bucket| bucket.max_waiting(2000));
        let bucket = Arc::new(of(bucket.expect("valid")));
        let left = Arc::new(Mutex::new(Vec::new()));
        runtime.block_on(async {
            let mut tasks = tokio::task::JoinSet::new();
            for n in 0..1000_u64 {
                let (bucket, left) = (Arc::clone(&bucket), Arc::clone(&left));
                tasks.spawn(async move {
                    // Some are cancelled at once, some later, and some are revoked.
                    match (n * 7 + round) % 5 {
                        0 => drop(call(&bucket)),
                        1 => {
                            let patience = Duration::from_micros(n * 100);
                            if let Ok(Ok(at)) = timeout(patience, call(&bucket)).await {
                                left.lock().expect("no panic").push(at);
                            }
                        }
                        2 => {
                            let mut call = call(&bucket);
                            while call.is_waiting() {
                                tokio::time::sleep(INTERVAL).await;
                            }
                            drop(call); // revoked
                        }
                        _ => {
                            let at = call(&bucket).await.expect("room");
                            left.lock().expect("no panic").push(at);
                        }
                    }
                });
            }
            let all = async {
                while let Some(ended) = tasks.join_next().await {
                    ended.expect("no panic");
                }
            };
            timeout(Duration::from_secs(30), all)
                .await
                .expect("no wake-up is lost");
        });
        let mut left = left.lock().expect("no panic").clone();
        left.sort();
        assert!(
            left.len() >= 400,
            "round {round}: the waiters that stayed have departed"
        );
        // The schedule may catch up after a stall, but never runs ahead.
        let (first, last) = (left[0], left[left.len() - 1]);
        let slots = (last - first).as_nanos() / INTERVAL.as_nanos() + 1;
        assert!(left.len() as u128 <= slots + 4, "{} in {slots}", left.len());
        let handle = bucket.handle();
        assert_eq!(handle.waiting(), 0, "round {round}");
        let idle = bucket.turn_in(last + Duration::from_secs(2));
        assert!(idle.is_zero(), "round {round}: {idle:?}");
    }
}
