//! Random operations on a hub, against a model that keeps everything.

use std::time::Duration;

use plimsoll_stream::{Cursor, Delivery, Ended, Hub, LagPolicy, Resumed, Subscription};
use proptest::prelude::*;
use tokio::time::advance;

const CAPACITY: usize = 40;
const BYTES: usize = 200;
const TTL: Duration = Duration::from_secs(10);
const KEYS: u8 = 5;

#[derive(Debug, Clone)]
enum Op {
    Publish {
        key: u8,
        weight: u8,
    },
    Receive {
        subscriber: usize,
        times: u8,
    },
    Subscribe {
        policy: LagPolicy,
        lag: usize,
        bytes: usize,
    },
    Resume {
        subscriber: usize,
    },
    Wait(u8),
    Prune,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let policy = prop_oneof![
        Just(LagPolicy::Skip),
        Just(LagPolicy::Coalesce),
        Just(LagPolicy::Disconnect)
    ];
    let op = prop_oneof![
        8 => (0..KEYS, 0_u8..30).prop_map(|(key, weight)| Op::Publish { key, weight }),
        4 => (0_usize..4, 1_u8..20).prop_map(|(subscriber, times)| Op::Receive { subscriber, times }),
        1 => (policy, 1..=CAPACITY, 1..=BYTES)
            .prop_map(|(policy, lag, bytes)| Op::Subscribe { policy, lag, bytes }),
        1 => (0_usize..4).prop_map(|subscriber| Op::Resume { subscriber }),
        1 => (0_u8..8).prop_map(Op::Wait),
        1 => Just(Op::Prune),
    ];
    prop::collection::vec(op, 1..400)
}

/// Number, key, weight.
type Item = (u64, u8, u8);

struct Follower {
    subscription: Subscription<Item>,
    policy: LagPolicy,
    lag: u64,
    next: u64,
    ended: bool,
}

/// Everything that was published, with the second of its publication.
#[derive(Default)]
struct Model {
    items: Vec<(Item, u64)>,
}

impl Model {
    fn last(&self) -> u64 {
        self.items.len() as u64
    }

    /// The first number that is kept.
    fn oldest(&self, now: u64) -> u64 {
        let mut bytes = 0;
        let mut oldest = self.last() + 1;
        for ((seq, _, weight), at) in self.items.iter().rev() {
            bytes += usize::from(*weight);
            let is_kept =
                self.last() - seq < CAPACITY as u64 && bytes <= BYTES && now - at < TTL.as_secs();
            if !is_kept {
                break;
            }
            oldest = *seq;
        }
        oldest
    }
}

/// Receives once, and compares with what may be received.
fn receive(model: &Model, follower: &mut Follower) -> bool {
    let (from, last) = (follower.next, model.last());
    match follower.subscription.try_recv() {
        Ok(None) => {
            assert_eq!(from, last + 1, "nothing is left");
            return false;
        }
        Ok(Some(Delivery::Item { seq, item })) => {
            assert_eq!(seq, from, "no number is left out without a gap");
            assert_eq!(item, model.items[seq as usize - 1].0);
            if follower.policy != LagPolicy::Coalesce {
                assert!(last - seq < follower.lag, "not further behind than allowed");
            }
            follower.next = seq + 1;
        }
        Ok(Some(Delivery::Gap(gap))) => {
            assert_eq!(gap.from, from);
            assert!(gap.to >= gap.from && gap.to <= last);
            if follower.policy == LagPolicy::Coalesce {
                // Each item in the gap was replaced by a later one of its key.
                for number in gap.from..=gap.to {
                    let key = model.items[number as usize - 1].0.1;
                    let later = &model.items[gap.to as usize..];
                    assert!(later.iter().any(|((_, other, _), _)| *other == key));
                }
            }
            follower.next = gap.to + 1;
        }
        Err(Ended::Slow { lag }) => {
            assert_eq!(follower.policy, LagPolicy::Disconnect);
            assert_eq!(lag, last + 1 - from);
            follower.ended = true;
            return false;
        }
        Err(other) => panic!("{other}"),
    }
    true
}

async fn run(ops: Vec<Op>) {
    let start = tokio::time::Instant::now();
    let hub = Hub::builder(CAPACITY)
        .max_bytes_by(BYTES, |item: &Item| usize::from(item.2))
        .ttl(TTL)
        .key(usize::from(KEYS), |item: &Item| item.1)
        .build()
        .unwrap();
    let mut model = Model::default();
    let mut followers: Vec<Follower> = Vec::new();
    for op in ops {
        let now = start.elapsed().as_secs();
        match op {
            Op::Publish { key, weight } => {
                let item = (model.last() + 1, key, weight);
                let published = hub.publish(item).unwrap();
                assert_eq!(published.seq, item.0);
                model.items.push((item, now));
            }
            Op::Receive { subscriber, times } => {
                if let Some(follower) = followers.get_mut(subscriber) {
                    for _ in 0..times {
                        if follower.ended || !receive(&model, follower) {
                            break;
                        }
                    }
                }
            }
            Op::Subscribe { policy, lag, bytes } => {
                let subscriber = hub.subscriber().policy(policy).max_lag(lag);
                let subscription = subscriber.max_lag_bytes(bytes).subscribe().unwrap();
                let next = model.last() + 1;
                followers.push(Follower {
                    subscription,
                    policy,
                    lag: lag as u64,
                    next,
                    ended: false,
                });
                if followers.len() > 4 {
                    followers.remove(0);
                }
            }
            Op::Resume { subscriber } => {
                if let Some(follower) = followers.get_mut(subscriber) {
                    let cursor: Cursor = follower.subscription.cursor();
                    assert_eq!(cursor.seq, follower.next - 1);
                    let after = hub.subscriber().after(cursor).subscribe().unwrap();
                    let oldest = model.oldest(now);
                    match after.resumed() {
                        Resumed::Complete => assert!(follower.next >= oldest),
                        Resumed::Reset(reset) => {
                            assert!(follower.next < oldest);
                            assert_eq!((reset.from, reset.to), (cursor.seq, oldest - 1));
                            follower.next = oldest;
                        }
                        Resumed::Live => panic!("there was a cursor"),
                    }
                    follower.subscription = after;
                    follower.policy = LagPolicy::Skip;
                    follower.lag = CAPACITY as u64;
                    follower.ended = false;
                }
            }
            Op::Wait(seconds) => advance(Duration::from_secs(seconds.into())).await,
            Op::Prune => hub.prune(),
        }
        assert!(hub.len() <= CAPACITY + 32);
        let now = start.elapsed().as_secs();
        assert_eq!(hub.oldest().seq + 1, model.oldest(now));
    }
    // In the end every subscriber catches up, or was disconnected.
    for follower in &mut followers {
        while !follower.ended && receive(&model, follower) {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn every_number_is_received_or_in_a_gap(ops in ops()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(run(ops));
    }
}
