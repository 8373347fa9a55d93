//! Items that expire.

use std::time::Duration;

use futures_util::StreamExt;
use plimsoll_stream::{BoundedQueue, Delivery, DropReason, Gap, QueuePolicy};
use tokio::time::advance;

use crate::{lost, queue};

#[tokio::test(start_paused = true)]
async fn drop_expired_evicts_by_age_and_never_delivers_an_expired_item() {
    let ttl = Duration::from_secs(1);
    let queue = queue(2, QueuePolicy::DropExpired { ttl });
    queue.send('a').await.unwrap();
    advance(ttl / 2).await;
    queue.send('b').await.unwrap();
    assert_eq!(queue.oldest_age(), Some(ttl / 2));
    let sent = queue.send('c').await.unwrap();
    assert_eq!(
        lost(sent),
        [('c', DropReason::Newest)],
        "nothing is old enough"
    );
    advance(ttl / 2).await;
    let sent = queue.send('d').await.unwrap();
    assert_eq!(lost(sent), [('a', DropReason::Expired)]);
    advance(ttl / 2).await;
    assert_eq!(queue.recv().await, Some('d'), "b has expired in the queue");
    let counters = queue.counters();
    assert_eq!((counters.sent(), counters.received()), (4, 1));
    assert_eq!((counters.dropped(), counters.expired()), (1, 2));
}

/// Under `DropExpired`: an item of 4 s, before two that have expired, and one of 5 s at the end.
async fn mixed_ages() -> BoundedQueue<(&'static str, u32)> {
    let queue = BoundedQueue::builder(4)
        .key(|(key, _): &(&'static str, u32)| *key)
        .policy(QueuePolicy::Coalesce)
        .measure_waits(1)
        .build()
        .unwrap();
    for key in ["a", "b", "c"] {
        queue.send((key, 1)).await.unwrap();
        advance(Duration::from_secs(1)).await;
    }
    advance(Duration::from_secs(5)).await;
    queue.send(("d", 1)).await.unwrap();
    advance(Duration::from_secs(1)).await;
    queue.send(("a", 2)).await.unwrap();
    let ttl = Duration::from_secs(10);
    queue.set_policy(QueuePolicy::DropExpired { ttl }).unwrap();
    advance(Duration::from_secs(4)).await;
    queue
}

#[tokio::test(start_paused = true)]
async fn an_expired_item_behind_a_younger_one_is_never_received() {
    let left = [("a", 2), ("d", 1)];
    let queue = mixed_ages().await;
    let mut batch = Vec::new();
    assert_eq!(queue.recv_many(&mut batch, 9).await, 2);
    assert_eq!(batch, left, "recv_many");
    assert_eq!(queue.counters().expired(), 2);

    assert_eq!(mixed_ages().await.drain(), left, "drain");
    let queue = mixed_ages().await;
    queue.close();
    assert_eq!(queue.items().collect::<Vec<_>>().await, left, "Stream");
    let queue = mixed_ages().await;
    for item in left {
        assert_eq!(queue.recv().await, Some(item), "recv");
    }
    let queue = mixed_ages().await;
    for item in left {
        assert_eq!(queue.try_recv(), Some(item), "try_recv");
    }
    let queue = mixed_ages().await;
    queue.close();
    let (item, reason) = (("a", 2), DropReason::Expired);
    let expected = [
        Delivery::Item { seq: 0, item },
        Delivery::Gap(Gap {
            from: 1,
            to: 2,
            reason,
        }),
        Delivery::Item {
            seq: 3,
            item: ("d", 1),
        },
    ];
    let seen: Vec<_> = queue.deliveries().collect().await;
    assert_eq!(joined(seen), expected, "deliveries");
}

/// Joins neighbouring gaps of one reason.
fn joined<T>(seen: Vec<Delivery<T>>) -> Vec<Delivery<T>> {
    let mut all: Vec<Delivery<T>> = Vec::new();
    for delivery in seen {
        match (all.last_mut(), delivery) {
            (Some(Delivery::Gap(before)), Delivery::Gap(gap)) if before.reason == gap.reason => {
                before.to = gap.to;
            }
            (_, delivery) => all.push(delivery),
        }
    }
    all
}

#[tokio::test(start_paused = true)]
async fn an_expired_item_behind_a_younger_one_makes_room_for_a_new_one() {
    let queue = mixed_ages().await;
    let sent = queue.send(("e", 1)).await.unwrap();
    let expired = [("b", 1), ("c", 1)].map(|item| (item, DropReason::Expired));
    assert_eq!(lost(sent), expired);
    assert_eq!(queue.drain(), [("a", 2), ("d", 1), ("e", 1)]);
}
