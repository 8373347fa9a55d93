//! Each policy at its bound.

mod expired;

use plimsoll_stream::{
    BoundedQueue, Criticality, Delivery, DropReason, Fate, Gap, LoadSignal, QueuePolicy, SendError,
};

use crate::{lost, queue};

#[tokio::test]
async fn drop_oldest_hands_back_the_oldest_item() {
    let queue = queue(2, QueuePolicy::DropOldest);
    assert_eq!(lost(queue.send('a').await.unwrap()), []);
    assert_eq!(lost(queue.send('b').await.unwrap()), []);
    let sent = queue.send('c').await.unwrap();
    assert_eq!(sent.seq, 2);
    assert_eq!(lost(sent), [('a', DropReason::Oldest)]);
    assert_eq!(queue.drain(), ['b', 'c']);
}

#[tokio::test]
async fn drop_newest_hands_back_the_new_item() {
    let queue = queue(2, QueuePolicy::DropNewest);
    for item in ['a', 'b'] {
        assert!(queue.send(item).await.unwrap().is_queued());
    }
    let sent = queue.send('c').await.unwrap();
    assert_eq!(sent.fate, Fate::Dropped);
    assert_eq!(lost(sent), [('c', DropReason::Newest)]);
    assert_eq!(queue.drain(), ['a', 'b']);
}

#[tokio::test]
async fn try_send_to_a_full_queue_that_blocks_hands_the_item_back() {
    let queue = queue(1, QueuePolicy::BLOCK);
    queue.send('a').await.unwrap();
    assert_eq!(queue.try_send('b'), Err(SendError::Full('b')));
    assert_eq!(queue.counters().full(), 1);
    assert_eq!(queue.drain(), ['a']);
}

#[tokio::test]
async fn drop_random_repeats_with_its_seed_and_spreads_over_the_queue() {
    let evicted = |seed| {
        let queue = queue(100, QueuePolicy::DropRandom { seed });
        let sent = (0..2_000).map(|n: usize| queue.try_send(n).unwrap());
        let evicted: Vec<_> = sent.flat_map(lost).map(|(item, _)| item).collect();
        assert_eq!((evicted.len(), queue.len()), (1_900, 100));
        let mut all = evicted.clone();
        all.extend(queue.drain());
        all.sort_unstable();
        assert!(all.into_iter().eq(0..2_000), "each item once");
        evicted
    };
    assert_eq!(evicted(1), evicted(1));
    assert_ne!(evicted(1), evicted(2));
    // The age at eviction of a queue of 100 is 100 on average.
    let ages = evicted(3)
        .into_iter()
        .zip(100..)
        .map(|(item, now)| now - item);
    let mean = ages.sum::<usize>() as f64 / 1_900.0;
    assert!((80.0..120.0).contains(&mean), "{mean}");
}

#[tokio::test]
async fn drop_random_keeps_the_order_of_the_rest() {
    let queue = queue(50, QueuePolicy::DropRandom { seed: 7 });
    for n in 0..1_000 {
        queue.try_send(n).unwrap();
    }
    let rest = queue.drain();
    assert_eq!(rest.len(), 50);
    assert!(rest.is_sorted());
}

fn by_priority(capacity: usize) -> BoundedQueue<(Criticality, u32)> {
    BoundedQueue::builder(capacity)
        .priority(|(criticality, _): &(Criticality, u32)| (*criticality).into())
        .policy(QueuePolicy::DropLowestPriority)
        .build()
        .unwrap()
}

#[tokio::test]
async fn drop_lowest_priority_evicts_the_newest_item_of_the_lowest_level() {
    use Criticality::{Critical, CriticalPlus, Sheddable};
    let queue = by_priority(4);
    for item in [
        (Critical, 0),
        (Sheddable, 1),
        (Sheddable, 2),
        (CriticalPlus, 3),
    ] {
        assert_eq!(lost(queue.send(item).await.unwrap()), []);
    }
    let send = async |item| lost(queue.send(item).await.unwrap());
    let reason = DropReason::LowestPriority;
    assert_eq!(send((Critical, 4)).await, [((Sheddable, 2), reason)]);
    assert_eq!(send((CriticalPlus, 5)).await, [((Sheddable, 1), reason)]);
    assert_eq!(
        send((Critical, 6)).await,
        [((Critical, 6), reason)],
        "not above the lowest"
    );
    assert_eq!(send((CriticalPlus, 7)).await, [((Critical, 4), reason)]);
    let rest: Vec<_> = queue.drain().into_iter().map(|(_, n)| n).collect();
    assert_eq!(rest, [0, 3, 5, 7], "in order of the sends");
}

#[tokio::test]
async fn drop_lowest_priority_evicts_nothing_when_it_would_not_make_room() {
    use Criticality::{Critical, CriticalPlus, Sheddable};
    let queue = BoundedQueue::builder(10)
        .max_bytes_by(100, |(_, bytes): &(Criticality, usize)| *bytes)
        .priority(|(criticality, _)| (*criticality).into())
        .policy(QueuePolicy::DropLowestPriority)
        .build()
        .unwrap();
    for item in [(Sheddable, 10), (CriticalPlus, 90)] {
        queue.send(item).await.unwrap();
    }
    let sent = queue.send((Critical, 20)).await.unwrap();
    assert_eq!(sent.fate, Fate::Dropped);
    assert_eq!(lost(sent), [((Critical, 20), DropReason::LowestPriority)]);
    assert_eq!(queue.bytes(), 100);
}

fn by_key(capacity: usize) -> BoundedQueue<(&'static str, u32)> {
    BoundedQueue::builder(capacity)
        .key(|(key, _): &(&'static str, u32)| *key)
        .policy(QueuePolicy::Coalesce)
        .build()
        .unwrap()
}

#[tokio::test]
async fn coalesce_keeps_the_latest_item_of_a_key_in_the_place_of_the_first() {
    let queue = by_key(2);
    queue.send(("x", 1)).await.unwrap();
    queue.send(("y", 2)).await.unwrap();
    let sent = queue.send(("x", 3)).await.unwrap();
    assert_eq!((sent.seq, sent.fate), (0, Fate::Replaced));
    assert_eq!(lost(sent), [(("x", 1), DropReason::Replaced)]);
    assert_eq!(
        lost(queue.send(("z", 4)).await.unwrap()),
        [(("x", 3), DropReason::Oldest)]
    );
    assert_eq!(queue.try_recv(), Some(("y", 2)));
    assert_eq!(
        lost(queue.send(("y", 5)).await.unwrap()),
        [],
        "the received item is not replaced"
    );
    assert_eq!(queue.drain(), [("z", 4), ("y", 5)]);
}

#[tokio::test]
async fn the_bytes_are_a_bound_of_their_own() {
    let queue = BoundedQueue::builder(10)
        .max_bytes(8)
        .policy(QueuePolicy::DropOldest)
        .build()
        .unwrap();
    for item in ["aaa", "bbb", "cc"] {
        assert_eq!(lost(queue.send(item).await.unwrap()), []);
    }
    assert_eq!((queue.len(), queue.bytes(), queue.load()), (3, 8, 1.0));
    let sent = queue.send("dddd").await.unwrap();
    let oldest = DropReason::Oldest;
    assert_eq!(lost(sent), [("aaa", oldest), ("bbb", oldest)]);
    assert_eq!((queue.len(), queue.bytes(), queue.load()), (2, 6, 0.75));
    let error = queue.send("ninebytes").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the item weighs 9 bytes, at most 8 are allowed"
    );
    assert_eq!(error.into_inner(), "ninebytes");
    assert_eq!(queue.counters().too_large(), 1);
}

#[tokio::test]
async fn a_consumer_sees_each_gap_with_its_numbers_and_reason() {
    let queue = queue(2, QueuePolicy::DropOldest);
    for n in 0..4 {
        queue.send(n).await.unwrap();
    }
    queue.set_policy(QueuePolicy::DropNewest).unwrap();
    queue.send(4).await.unwrap();
    queue.close();
    let mut seen = Vec::new();
    while let Some(delivery) = queue.recv_delivery().await {
        seen.push(delivery);
    }
    let gap = |from, to, reason| Delivery::Gap(Gap { from, to, reason });
    assert_eq!(
        seen,
        [
            gap(0, 1, DropReason::Oldest),
            Delivery::Item { seq: 2, item: 2 },
            Delivery::Item { seq: 3, item: 3 },
            gap(4, 4, DropReason::Newest),
        ]
    );
}

#[tokio::test]
async fn a_policy_changes_while_the_queue_is_in_use() {
    let queue = queue(1, QueuePolicy::BLOCK);
    queue.send(1).await.unwrap();
    queue.set_policy(QueuePolicy::DropOldest).unwrap();
    assert_eq!(
        lost(queue.send(2).await.unwrap()),
        [(1, DropReason::Oldest)]
    );
    queue.set_policy(QueuePolicy::DropNewest).unwrap();
    assert_eq!(
        lost(queue.send(3).await.unwrap()),
        [(3, DropReason::Newest)]
    );
    let counters = queue.counters();
    assert!(counters.lost().eq([
        ("drop_oldest", DropReason::Oldest, 1),
        ("drop_newest", DropReason::Newest, 1),
    ]));
}
