//! The laws of `CONTRIBUTING.md`. `cargo xtask break-laws` breaks each of them on purpose.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::Poll,
    time::Duration,
};

use plimsoll_stream::{
    BoundedQueue, Delivery, Ended, Hub, QueuePolicy, ReserveError, SendError, alarm::Alarm,
};
use tokio::time::Instant;

use crate::{Task, queue};

#[test]
fn law_02_a_permit_releases_its_room_exactly_once() {
    let queue = queue(1, QueuePolicy::BLOCK);
    for n in 0..3 {
        let dropped = queue.try_reserve(0).unwrap();
        assert!(matches!(queue.try_reserve(0), Err(ReserveError::Full)));
        drop(dropped);
        let used = queue.try_reserve(0).expect("released by the drop");
        used.send(n).unwrap();
        assert_eq!(queue.try_recv(), Some(n));
    }
    drop(queue.try_reserve(0).unwrap());
    queue.try_send(3).expect("there is room for one");
    assert!(queue.try_send(4).is_err(), "and not for two");
}

#[test]
fn law_02_a_subscriber_leaves_its_hub_exactly_once() {
    let hub = Hub::<u32>::builder(4).max_subscribers(2).build().unwrap();
    for _ in 0..3 {
        let (first, second) = (hub.subscribe().unwrap(), hub.subscribe().unwrap());
        assert!(hub.subscribe().is_err());
        drop(first);
        assert_eq!(hub.subscribers(), 1);
        drop(second);
        assert_eq!(hub.subscribers(), 0);
    }
}

#[cfg(feature = "axum")]
#[tokio::test(start_paused = true)]
async fn law_02_the_place_of_a_client_is_released_exactly_once() {
    let topic = topic();
    for _ in 0..3 {
        let (first, second) = (stream(&topic), stream(&topic));
        assert_eq!(topic.counters().clients, 2);
        drop(first);
        assert_eq!(topic.counters().clients, 1);
        drop(second);
        assert_eq!(topic.counters().clients, 0);
    }
    assert_eq!(topic.counters().rejected, 0);
}

/// A queue that has memory for its items, so that sends and receives are short.
fn used(capacity: usize) -> BoundedQueue<u32> {
    let queue = queue(capacity, QueuePolicy::BLOCK);
    for n in 0..capacity as u32 {
        queue.try_send(n).unwrap();
    }
    assert_eq!(queue.drain().len(), capacity);
    queue
}

#[test]
fn law_05_a_receiver_that_waits_is_woken_by_the_next_send() {
    let queue = used(4);
    let mut waits = Task::new(queue.recv());
    assert!(waits.poll().is_pending());
    assert_eq!(waits.woken(), 0, "no busy loop");
    queue.try_send(17).unwrap();
    assert_eq!(waits.woken(), 1);
    assert_eq!(waits.poll(), Poll::Ready(Some(17)));
}

#[test]
fn law_05_a_sender_that_waits_is_woken_by_the_next_receive() {
    let queue = used(1);
    queue.try_send(17).unwrap();
    let mut waits = Task::new(queue.send(18));
    assert!(waits.poll().is_pending());
    assert_eq!(waits.woken(), 0, "no busy loop");
    assert_eq!(queue.try_recv(), Some(17));
    assert_eq!(waits.woken(), 1);
    assert!(matches!(waits.poll(), Poll::Ready(Ok(_))));
    assert_eq!(queue.drain(), [18]);
}

#[test]
fn law_05_a_subscriber_that_waits_is_woken_by_the_next_item_and_by_the_end() {
    let hub = Hub::new(4).unwrap();
    let mut subscription = hub.subscribe().unwrap();
    let mut waits = Task::new(subscription.recv());
    assert!(waits.poll().is_pending());
    assert_eq!(waits.woken(), 0, "no busy loop");
    hub.publish(17).unwrap();
    assert_eq!(waits.woken(), 1);
    let item = Delivery::Item { seq: 1, item: 17 };
    assert_eq!(waits.poll(), Poll::Ready(Ok(item)));
    drop(waits);

    let mut waits = Task::new(subscription.recv());
    assert!(waits.poll().is_pending());
    hub.close();
    assert_eq!(waits.woken(), 1);
    assert_eq!(waits.poll(), Poll::Ready(Err(Ended::Closed)));
}

#[test]
fn law_07_a_queue_keeps_its_bound_and_counts_what_it_evicts() {
    for policy in [
        QueuePolicy::DropOldest,
        QueuePolicy::DropNewest,
        QueuePolicy::DropRandom { seed: 7 },
    ] {
        let queue = queue(4, policy);
        for n in 1..=100_u32 {
            queue.try_send(n).unwrap();
            assert!(queue.len() <= 4);
            let dropped = queue.counters().dropped();
            assert_eq!(dropped, u64::from(n).saturating_sub(4), "{policy:?}");
        }
        assert_eq!(queue.drain().len(), 4);
    }
}

#[test]
fn law_07_items_that_receivers_took_together_count_until_each_is_received() {
    let queue = queue(8, QueuePolicy::BLOCK);
    for n in 0..8 {
        queue.try_send(n).unwrap();
    }
    // The first receive takes all items from the senders.
    for n in 0..8 {
        assert_eq!(queue.try_recv(), Some(n));
        assert_eq!(queue.len(), 7);
        queue.try_send(8 + n).unwrap();
        let full = queue.try_send(99);
        assert!(matches!(full, Err(SendError::Full(99))), "{full:?}");
        let counters = queue.counters();
        assert_eq!((counters.sent(), counters.received()), (9 + n, 1 + n));
    }
    assert_eq!(queue.drain(), (8..16).collect::<Vec<_>>());
}

#[test]
fn law_07_a_hub_keeps_its_capacity_and_a_segment() {
    let hub = Hub::new(64).unwrap();
    let items: Vec<_> = (0..1_000).map(Arc::new).collect();
    for item in &items {
        hub.publish(Arc::clone(item)).unwrap();
    }
    assert!((64..=64 + 32).contains(&hub.len()), "{}", hub.len());
    let in_memory = items.iter().filter(|item| Arc::strong_count(item) > 1);
    assert_eq!(in_memory.count(), hub.len(), "the others are freed");
}

#[cfg(feature = "axum")]
#[tokio::test(start_paused = true)]
async fn law_07_a_topic_has_as_many_clients_as_it_may_have_and_counts_the_others() {
    let topic = topic();
    let clients: Vec<_> = (0..5).map(|_| stream(&topic)).collect();
    assert_eq!(topic.counters().clients, 2);
    assert_eq!(topic.counters().rejected, 3);
    drop(clients);
}

#[test]
fn law_10_a_hook_that_panics_fails_no_send() {
    let calls = Arc::new(AtomicUsize::new(0));
    let hook = Arc::clone(&calls);
    let queue = BoundedQueue::builder(2)
        .policy(QueuePolicy::DropOldest)
        .on_drop(move |_: &u32, _| {
            hook.fetch_add(1, Relaxed);
            panic!("a broken hook")
        })
        .build()
        .unwrap();
    for n in 0..5 {
        queue.try_send(n).unwrap();
    }
    assert_eq!(queue.drain(), [3, 4]);
    assert_eq!(queue.counters().dropped(), 3);
    assert_eq!(calls.load(Relaxed), 3, "each loss is reported");
}

#[tokio::test(start_paused = true)]
async fn law_10_a_callback_of_an_alarm_that_panics_fails_no_observation() {
    let alarm = Alarm::new(|| 1.0);
    alarm.on_change(|_| panic!("a broken callback"));
    let start = Instant::now();
    alarm.observe(1.0, start);
    let change = alarm.observe(1.0, start + Duration::from_secs(10));
    assert!(change.is_some() && alarm.is_raised());
}

#[cfg(feature = "axum")]
fn topic() -> plimsoll_stream::sse::Topic {
    let topic = plimsoll_stream::sse::Topic::builder();
    topic.max_clients(2).build().unwrap()
}

#[cfg(feature = "axum")]
fn stream(topic: &plimsoll_stream::sse::Topic) -> axum::response::Response {
    topic.stream(&http::Request::new(()))
}
