//! Adaptive sampling of a stream.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    task::Poll,
};

use futures_util::{FutureExt, StreamExt, stream};
use plimsoll_stream::{
    BoundedQueue, InvalidRates, LoadSignal, QueuePolicy, Rates, Sampler, Weighted,
};
use proptest::prelude::*;

use crate::Task;

/// A load that a test sets.
#[derive(Clone, Default)]
struct Load(Arc<AtomicU64>);

impl Load {
    fn set(&self, load: f64) {
        self.0.store(load.to_bits(), SeqCst);
    }
}

impl LoadSignal for Load {
    fn load(&self) -> f64 {
        f64::from_bits(self.0.load(SeqCst))
    }
}

#[test]
fn up_to_the_threshold_each_item_is_kept_with_weight_1() {
    let load = Load::default();
    load.set(0.7);
    let sampler = Sampler::new(load, Rates::DEFAULT).unwrap();
    let handle = sampler.handle();
    let all: Vec<_> = sampler
        .stream(stream::iter(0..1_000))
        .collect::<Vec<_>>()
        .now_or_never()
        .unwrap();
    let each = (0..1_000).map(|item| Weighted { item, weight: 1.0 });
    assert!(all.into_iter().eq(each));
    assert_eq!((handle.kept(), handle.skipped()), (1_000, 0));
}

#[test]
fn the_weight_is_one_over_the_rate_of_the_linear_rule() {
    let load = Load::default();
    let rates = Rates {
        base: 1.0,
        min: 0.2,
        threshold: 0.5,
    };
    let mut sampler = Sampler::new(load.clone(), rates).unwrap().seed(1);
    for (level, rate) in [(0.4, 1.0), (0.75, 0.6), (1.0, 0.2), (3.0, 0.2)] {
        load.set(level);
        let weight = std::iter::repeat_with(|| sampler.draw()).find_map(|weight| weight);
        assert!((weight.unwrap() - 1.0 / rate).abs() < 1e-9, "load {level}");
    }
}

#[test]
fn the_same_seed_keeps_the_same_items() {
    let kept = |seed| {
        let rates = Rates {
            min: 0.3,
            ..Rates::DEFAULT
        };
        let sampler = Sampler::new(|| 1.0, rates).unwrap().seed(seed);
        let items = sampler.stream(stream::iter(0..40)).map(|kept| kept.item);
        items.collect::<Vec<_>>().now_or_never().unwrap()
    };
    assert_eq!(kept(7), kept(7));
    assert_ne!(kept(7), kept(8));
}

#[tokio::test]
async fn a_queue_that_fills_up_is_sampled_before_it_is_full() {
    let queue = BoundedQueue::new(100, QueuePolicy::DropNewest).unwrap();
    let rates = Rates {
        min: 0.01,
        ..Rates::DEFAULT
    };
    let sampler = Sampler::new(queue.clone(), rates).unwrap().seed(3);
    let handle = sampler.handle();
    let mut events = sampler.stream(stream::iter(0..150));
    while let Some(kept) = events.next().await {
        queue.send(kept).await.unwrap();
    }
    assert!((71..100).contains(&queue.len()), "{}", queue.len());
    assert_eq!(queue.counters().dropped(), 0);
    assert_eq!(handle.kept(), queue.len() as u64);
    assert_eq!(handle.kept() + handle.skipped(), 150);
}

#[test]
fn a_poll_ends_although_each_item_is_skipped() {
    let rates = Rates {
        min: 0.0,
        ..Rates::DEFAULT
    };
    let sampler = Sampler::new(|| 1.0, rates).unwrap();
    let handle = sampler.handle();
    let mut events = sampler.stream(stream::repeat(()));
    let mut next = Task::new(events.next());
    for poll in 1..=3 {
        assert_eq!(next.poll(), Poll::Pending);
        assert_eq!(next.woken(), poll);
        assert_eq!(handle.skipped(), poll as u64 * 64);
    }
}

#[test]
fn rates_are_checked_and_changed_while_the_stream_runs() {
    let bad = Rates {
        base: 0.0,
        ..Rates::DEFAULT
    };
    assert_eq!(
        Sampler::new(|| 0.0, bad).unwrap_err(),
        InvalidRates::Base(0.0)
    );
    let mut sampler = Sampler::new(|| 1.0, Rates::DEFAULT).unwrap();
    let handle = sampler.handle();
    assert!(handle.set_rates(bad).is_err());
    assert_eq!(handle.rates(), Rates::DEFAULT);
    let all = Rates {
        min: 1.0,
        ..Rates::DEFAULT
    };
    handle.set_rates(all).unwrap();
    assert_eq!(sampler.draw(), Some(1.0));
}

proptest! {
    /// Whatever the loads, the sum of the weights estimates the number of items without a bias.
    #[test]
    fn the_sum_of_the_weights_estimates_the_number_of_items(
        seed in any::<u64>(),
        min in 0.05..1.0_f64,
        threshold in 0.0..0.9_f64,
        levels in prop::collection::vec(0.0..1.5_f64, 1..10),
    ) {
        const EACH: u32 = 400;
        let load = Load::default();
        let rates = Rates { base: 1.0, min, threshold };
        let mut sampler = Sampler::new(load.clone(), rates).unwrap().seed(seed);
        let (mut sum, mut variance, mut count) = (0.0, 0.0, 0.0);
        for level in levels {
            load.set(level);
            let rate = rates.rate(level);
            for _ in 0..EACH {
                sum += sampler.draw().unwrap_or(0.0);
                // Of a weight that is 1 / rate with this probability, and 0 otherwise.
                variance += (1.0 - rate) / rate;
                count += 1.0;
            }
        }
        // Six standard errors: one in 500 million.
        let bound = 6.0 * f64::sqrt(variance) + 1e-6;
        prop_assert!(f64::abs(sum - count) <= bound, "{sum} for {count}, +-{bound}");
    }
}

/// The mean of many estimates comes as close as statistics allow, which a small bias would not.
#[test]
fn the_mean_of_many_estimates_has_no_bias() {
    let rates = Rates {
        min: 0.25,
        ..Rates::DEFAULT
    };
    let (runs, items) = (2_000_u32, 200_u32);
    let mut sum = 0.0;
    for seed in 0..u64::from(runs) {
        let mut sampler = Sampler::new(|| 1.0, rates).unwrap().seed(seed);
        sum += (0..items).filter_map(|_| sampler.draw()).sum::<f64>();
    }
    let mean = sum / f64::from(runs);
    // The standard error is sqrt(200 * 3 / 2,000) = 0.55. The seeds are fixed, so it never flakes.
    assert!((mean - f64::from(items)).abs() < 2.0, "{mean}");
}
