//! Random items against token buckets written without regard to cost.

use std::{pin::pin, time::Duration};

use futures_util::StreamExt;
use plimsoll_stream::Throttle;
use proptest::prelude::*;
use tokio::time::{Instant, advance, sleep, timeout};

use super::{bytes, every, times, weights};

/// A token bucket that is refilled each millisecond, written without regard to cost.
struct Model {
    /// Milliseconds per token.
    every: u64,
    /// In milliseconds.
    level: u64,
    burst: u64,
}

impl Model {
    fn new(every: u64, burst: u32) -> Self {
        let burst = u64::from(burst) * every;
        let level = burst;
        Self {
            every,
            level,
            burst,
        }
    }

    fn refill(&mut self) {
        self.level = (self.level + 1).min(self.burst);
    }
}

/// Takes from all buckets or none, each millisecond once more. Returns the time.
fn take(buckets: &mut [Model], costs: &[u64], now: &mut u64) {
    loop {
        let each = || buckets.iter().zip(costs);
        if each().all(|(bucket, cost)| cost * bucket.every <= bucket.level) {
            for (bucket, cost) in buckets.iter_mut().zip(costs) {
                bucket.level -= cost * bucket.every;
            }
            return;
        }
        buckets.iter_mut().for_each(Model::refill);
        *now += 1;
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime")
}

proptest! {
    /// Four buckets, items of all weights, and a bucket that is refilled each millisecond.
    #[test]
    fn items_pass_at_the_millisecond_that_the_buckets_allow(
        periods in [1_u64..30, 1_u64..4, 1_u64..30, 1_u64..4],
        bursts in [1_u32..4, 1_u32..40, 1_u32..4, 1_u32..40],
        items in prop::collection::vec(0_usize..100, 1..20),
        pause in 0_u64..100,
    ) {
        let quota = |index: usize| every(periods[index], bursts[index]);
        let mut buckets: Vec<_> = (0..4).map(|i| Model::new(periods[i], bursts[i])).collect();
        let (mut now, mut owed, mut expected) = (0, [0_u64; 2], Vec::new());
        let burst = |index: usize| u64::from(bursts[index]);
        for weight in &items {
            while owed != [0; 2] {
                let costs = [0, owed[0].min(burst(1)), 0, owed[1].min(burst(3))];
                take(&mut buckets, &costs, &mut now);
                owed = [owed[0] - costs[1], owed[1] - costs[3]];
            }
            let weight = *weight as u64;
            let costs = [1, weight.min(burst(1)), 1, weight.min(burst(3))];
            take(&mut buckets, &costs, &mut now);
            owed = [weight - costs[1], weight - costs[3]];
            expected.push(now);
        }
        let seen = runtime().block_on(async {
            advance(Duration::from_millis(pause)).await;
            let all = Throttle::builder().events(quota(2)).bytes(quota(3)).build().unwrap();
            let one = Throttle::builder().events(quota(0)).bytes(quota(1)).within(&all);
            times(weights(&one.build().unwrap(), &items)).await
        });
        prop_assert_eq!(seen, expected);
    }

    /// Streams that begin, stall and are dropped at random never exceed the bucket that they share.
    #[test]
    fn streams_together_stay_within_the_bucket_that_they_share(
        burst in 5_u32..40,
        streams in prop::collection::vec(
            (prop::collection::vec(0_usize..5, 1..10), 0_u64..60, 1_u64..200),
            1..8,
        ),
    ) {
        let mut passed = runtime().block_on(async {
            let all = bytes(every(2, burst));
            let start = Instant::now();
            let each = streams.into_iter().map(|(items, begin, end)| {
                let one = Throttle::builder().events(every(1, 3)).within(&all).build().unwrap();
                async move {
                    let mut passed = Vec::new();
                    sleep(Duration::from_millis(begin)).await;
                    let mut items = pin!(weights(&one, &items));
                    _ = timeout(Duration::from_millis(end), async {
                        while let Some(weight) = items.next().await {
                            passed.push((start.elapsed().as_millis() as u64, weight as u64));
                        }
                    })
                    .await;
                    passed
                }
            });
            futures_util::future::join_all(each).await.concat()
        });
        passed.sort_unstable();
        let mut model = Model::new(2, burst);
        let mut now = 0;
        for (at, weight) in passed {
            while now < at {
                model.refill();
                now += 1;
            }
            prop_assert!(weight * 2 <= model.level, "over the rate at {at} ms");
            model.level -= weight * 2;
        }
    }
}
