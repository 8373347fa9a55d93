//! A demand without a subscription, and batches.

use std::panic::{AssertUnwindSafe, catch_unwind};

use futures_util::{FutureExt, StreamExt, stream};
use plimsoll_stream::{
    BoundedQueue, Demand, QueuePolicy,
    demand::{DemandCancelled, Ended, Publisher},
};

use crate::Task;

#[test]
fn producers_get_credit_in_the_order_of_their_arrival() {
    let demand = Demand::new();
    let mut producers: Vec<_> = (0..3).map(|_| Task::new(demand.acquire())).collect();
    assert!(producers.iter_mut().all(|task| task.poll().is_pending()));
    demand.request(2).unwrap();
    let woken: Vec<_> = producers.iter().map(Task::woken).collect();
    assert_eq!(woken, [1, 1, 0]);
    assert_eq!(demand.try_acquire(), Ok(false), "nothing overtakes");
    assert!(producers[0].poll().is_ready() && producers[1].poll().is_ready());
    assert!(producers[2].poll().is_pending());
}

#[test]
fn a_credit_on_its_way_to_a_dropped_producer_goes_to_the_next() {
    let demand = Demand::new();
    let (mut first, mut second) = (Task::new(demand.acquire()), Task::new(demand.acquire()));
    assert!(first.poll().is_pending() && second.poll().is_pending());
    demand.request(1).unwrap();
    assert_eq!((first.woken(), second.woken()), (1, 0));
    drop(first);
    assert_eq!(second.woken(), 1);
    drop(second);
    assert_eq!(demand.outstanding(), 1);
}

#[test]
fn a_credit_granted_before_the_cancellation_is_void() {
    let demand = Demand::new();
    let mut producer = Task::new(demand.acquire());
    assert!(producer.poll().is_pending());
    demand.request(1).unwrap();
    demand.cancel();
    assert_eq!(
        producer.poll(),
        std::task::Poll::Ready(Err(DemandCancelled))
    );
    assert_eq!(demand.outstanding(), 0);
}

#[test]
fn an_unbounded_request_serves_all_that_wait() {
    let demand = Demand::new();
    let mut producers: Vec<_> = (0..5).map(|_| Task::new(demand.acquire())).collect();
    assert!(producers.iter_mut().all(|task| task.poll().is_pending()));
    demand.request(Demand::UNBOUNDED).unwrap();
    assert!(producers.iter_mut().all(|task| task.poll().is_ready()));
    assert_eq!(demand.outstanding(), Demand::UNBOUNDED);
}

#[test]
fn a_watcher_is_woken_by_the_cancellation_only() {
    let demand = Demand::new();
    let mut watcher = Task::new(demand.cancelled());
    assert!(watcher.poll().is_pending());
    demand.request(1).unwrap();
    assert_eq!(watcher.woken(), 0);
    demand.cancel();
    assert_eq!(watcher.woken(), 1);
    assert!(watcher.poll().is_ready());
}

#[tokio::test]
async fn no_item_leaves_a_queue_without_credit() {
    let queue = BoundedQueue::new(4, QueuePolicy::DropOldest).unwrap();
    let demand = Demand::new();
    let mut items = demand.gate(queue.items());
    for n in 0..6 {
        queue.send(n).await.unwrap();
    }
    assert!(items.next().now_or_never().is_none());
    assert_eq!(queue.len(), 4, "the oldest are still evicted");
    demand.request(2).unwrap();
    assert_eq!((items.next().await, items.next().await), (Some(2), Some(3)));
    assert!(items.next().now_or_never().is_none());
    assert_eq!(queue.len(), 2);
}

#[tokio::test]
async fn gates_share_a_demand_and_release_what_they_hold() {
    let demand = Demand::new();
    let mut waiting = demand.gate(stream::poll_fn(|_| std::task::Poll::<Option<u32>>::Pending));
    let mut ready = demand.gate(stream::iter([1, 2]));
    demand.request(1).unwrap();
    // It holds the credit, and its source has no item.
    assert!(waiting.next().now_or_never().is_none());
    let mut next = Task::new(ready.next());
    assert!(next.poll().is_pending());
    drop(waiting);
    assert_eq!(next.woken(), 1);
    assert_eq!(next.poll(), std::task::Poll::Ready(Some(1)));
    drop(next);
    assert_eq!(ready.ended(), None);
    demand.request(1).unwrap();
    assert_eq!(ready.next().await, Some(2));
    assert_eq!(
        ready.next().await,
        None,
        "seen without credit, by its size hint"
    );
    assert_eq!(ready.ended(), Some(Ended::Completed));
    assert!(!demand.is_cancelled(), "for other gates");
}

#[test]
fn the_credit_of_a_source_that_ends_goes_to_the_next_gate() {
    let demand = Demand::new();
    // Without a size hint.
    let mut ending = demand.gate(stream::iter([1]).filter(|_| async { false }).boxed_local());
    demand.request(1).unwrap();
    assert_eq!(ending.next().now_or_never(), Some(None));
    assert_eq!(demand.outstanding(), 1);
}

#[test]
fn a_dropped_subscription_is_cancelled() {
    let subscription = stream::iter([1]).subscribe();
    let demand = subscription.demand().clone();
    drop(subscription);
    assert!(demand.is_cancelled());
}

#[tokio::test]
async fn the_next_batch_is_requested_when_the_last_one_was_processed() {
    let queue = BoundedQueue::new(100, QueuePolicy::BLOCK).unwrap();
    for n in 0..10 {
        queue.send(n).await.unwrap();
    }
    queue.close();
    let mut batches = queue.items().subscribe().batches(4).unwrap();
    let batch = batches.next().await.unwrap();
    assert_eq!((&*batch, queue.len()), ([0, 1, 2, 3].as_slice(), 6));
    let mut next = Task::new(batches.next());
    assert!(next.poll().is_pending());
    assert_eq!(queue.len(), 6, "nothing is collected ahead");
    batch.done();
    assert_eq!(next.woken(), 1);
    let batch = next.poll();
    assert!(matches!(batch, std::task::Poll::Ready(Some(batch)) if *batch == [4, 5, 6, 7]));
    drop(next);
    let mut last = batches.next().await.unwrap();
    assert_eq!(last.take(), [8, 9], "the end of the source ends the batch");
    assert!(last.is_empty());
    assert!(batches.next().await.is_none());
}

#[tokio::test]
async fn a_batch_that_panics_is_processed() {
    let mut batches = stream::iter(0..4).subscribe().batches(2).unwrap();
    let batch = batches.next().await.unwrap();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _batch = batch;
        panic!("a faulty consumer");
    }));
    assert!(panicked.is_err());
    assert_eq!(*batches.next().await.unwrap(), [2, 3]);
}

#[tokio::test]
async fn a_ready_batch_does_not_wait_until_it_is_full() {
    let queue = BoundedQueue::new(100, QueuePolicy::BLOCK).unwrap();
    let mut batches = queue.items().subscribe().ready_batches(4).unwrap();
    assert!(batches.next().now_or_never().is_none());
    for n in 0..3 {
        queue.send(n).await.unwrap();
    }
    let first = batches.next().await.unwrap();
    assert_eq!(*first, [0, 1, 2]);
    for n in 3..6 {
        queue.send(n).await.unwrap();
    }
    let second = batches.next().await.unwrap();
    assert_eq!(*second, [3], "four are in processing");
    assert!(batches.next().now_or_never().is_none());
    drop(first);
    let third = batches.next().await.unwrap();
    assert_eq!(*third, [4, 5]);
    for n in 6..9 {
        queue.send(n).await.unwrap();
    }
    let fourth = batches.next().await.unwrap();
    assert_eq!(*fourth, [6], "again four");
    drop((second, third, fourth));
    assert_eq!(*batches.next().await.unwrap(), [7, 8]);
}

#[test]
fn a_batch_of_nothing_is_an_error() {
    let error = stream::iter([1]).subscribe().batches(0).unwrap_err();
    assert_eq!(error.to_string(), "request must be at least 1 item, got 0");
}
