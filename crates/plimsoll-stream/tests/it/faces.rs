//! A queue as a `Stream` and as a `Sink`, its hook, and its measurements.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use futures_util::{SinkExt, StreamExt};
use plimsoll_stream::{BoundedQueue, Delivery, DropReason, QueuePolicy, SendError};
use tokio::time::advance;

use crate::{Task, queue};

#[tokio::test]
async fn a_stream_ends_with_the_queue() {
    let queue = queue(4, QueuePolicy::BLOCK);
    let items = queue.items();
    for n in 0..3 {
        queue.send(n).await.unwrap();
    }
    queue.close();
    assert_eq!(items.collect::<Vec<_>>().await, [0, 1, 2]);
}

#[tokio::test]
async fn a_stream_that_is_dropped_while_it_waits_hands_its_item_over() {
    let queue = queue(4, QueuePolicy::BLOCK);
    let mut deliveries = queue.deliveries();
    let mut first = Task::new(async move { deliveries.next().await });
    let mut second = Task::new(queue.recv());
    assert!(first.poll().is_pending() && second.poll().is_pending());
    queue.try_send(1).unwrap();
    drop(first);
    assert_eq!(second.woken(), 1);
    let mut deliveries = queue.deliveries();
    assert_eq!(
        deliveries.next().await,
        Some(Delivery::Item { seq: 0, item: 1 })
    );
}

#[tokio::test]
async fn a_sink_keeps_one_item_while_the_queue_is_full() {
    let queue = queue(1, QueuePolicy::BLOCK);
    let mut sink = queue.sink();
    sink.feed(1).await.unwrap();
    sink.feed(2).await.unwrap();
    let mut third = Task::new(sink.feed(3));
    assert!(third.poll().is_pending());
    assert_eq!(queue.try_recv(), Some(1));
    assert!(third.poll().is_ready());
    drop(third);
    assert_eq!(sink.take_waiting(), Some(3), "the queue holds 2");
    sink.close().await.unwrap();
    assert_eq!(queue.drain(), [2]);
    assert_eq!(sink.send(4).await, Err(SendError::Closed(4)));
}

#[tokio::test]
async fn a_hook_that_panics_loses_no_item() {
    let seen = Arc::new(AtomicU64::new(0));
    let counting = Arc::clone(&seen);
    let queue = BoundedQueue::builder(1)
        .policy(QueuePolicy::DropOldest)
        .on_drop(move |item: &u64, reason| {
            assert_eq!(reason, DropReason::Oldest);
            counting.fetch_add(*item, SeqCst);
            panic!("a faulty hook");
        })
        .build()
        .unwrap();
    for n in 1..=3 {
        assert!(queue.send(n).await.unwrap().is_queued());
    }
    assert_eq!(seen.load(SeqCst), 1 + 2);
    assert_eq!(queue.drain(), [3]);
    let counters = queue.counters();
    assert_eq!(
        (counters.sent(), counters.received(), counters.dropped()),
        (3, 1, 2)
    );
}

#[tokio::test]
async fn a_weight_that_panics_changes_nothing() {
    let queue = BoundedQueue::builder(2)
        .max_bytes_by(10, |item: &u32| {
            assert!(*item != 2, "a faulty weight");
            1
        })
        .build()
        .unwrap();
    queue.send(1).await.unwrap();
    let faulty = queue.clone();
    let panicked = tokio::spawn(async move { faulty.send(2).await.is_ok() }).await;
    assert!(panicked.is_err_and(|error| error.is_panic()));
    queue.send(3).await.unwrap();
    assert_eq!(queue.drain(), [1, 3]);
}

#[tokio::test]
async fn the_hook_may_use_the_queue() {
    let itself = Arc::new(Mutex::new(None::<BoundedQueue<u32>>));
    let inner = Arc::clone(&itself);
    let queue = BoundedQueue::builder(1)
        .policy(QueuePolicy::DropOldest)
        .on_drop(move |_: &u32, _| {
            let queue = inner.lock().unwrap();
            assert!(
                queue
                    .as_ref()
                    .is_some_and(|queue| queue.counters().dropped() == 1)
            );
        })
        .build()
        .unwrap();
    *itself.lock().unwrap() = Some(queue.clone());
    queue.send(1).await.unwrap();
    queue.send(2).await.unwrap();
    assert_eq!(queue.drain(), [2]);
    *itself.lock().unwrap() = None;
}

#[tokio::test(start_paused = true)]
async fn waits_of_one_item_in_two_are_measured() {
    let queue = BoundedQueue::builder(8).measure_waits(2).build().unwrap();
    for n in 0..4 {
        queue.send(n).await.unwrap();
    }
    advance(Duration::from_secs(1)).await;
    assert_eq!(queue.oldest_age(), Some(Duration::from_secs(1)));
    queue.drain();
    let waits = queue.wait_times().unwrap();
    assert_eq!((waits.every(), waits.count()), (2, 2));
    let median = waits.quantile(0.5).unwrap();
    assert!((1.0..1.25).contains(&median.as_secs_f64()), "{median:?}");
    assert_eq!(queue.oldest_age(), None);
}

#[tokio::test(start_paused = true)]
async fn waits_are_measured_across_losses_from_the_middle() {
    let queue = BoundedQueue::builder(4).measure_waits(2);
    let queue = queue.policy(QueuePolicy::DropNewest).build().unwrap();
    for n in 0..3 {
        queue.send(n).await.unwrap();
        advance(Duration::from_secs(1)).await;
    }
    assert_eq!(queue.oldest_age(), Some(Duration::from_secs(3)));
    // Items 0 and 2 have time stamps. From the second loss on they are kept beside the items.
    queue.send(3).await.unwrap();
    queue.send(4).await.unwrap();
    assert_eq!(queue.oldest_age(), Some(Duration::from_secs(3)));
    assert_eq!(queue.try_recv(), Some(0));
    assert_eq!(queue.oldest_age(), Some(Duration::from_secs(1)));
    assert_eq!(queue.drain(), [1, 2, 3]);
    assert_eq!(queue.wait_times().unwrap().count(), 2);
    // The queue was empty, so a time stamp is again kept apart.
    for n in 5..9 {
        queue.send(n).await.unwrap();
    }
    advance(Duration::from_secs(9)).await;
    assert_eq!(queue.oldest_age(), Some(Duration::from_secs(9)));
    queue.set_policy(QueuePolicy::DropOldest).unwrap();
    queue.send(9).await.unwrap();
    assert_eq!(queue.drain(), [6, 7, 8, 9]);
    assert_eq!(queue.wait_times().unwrap().count(), 4);
}
