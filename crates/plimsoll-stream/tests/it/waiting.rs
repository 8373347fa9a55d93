//! Senders and receivers that wait.

use std::{future::Future, task::Poll, time::Duration};

use futures_util::StreamExt;
use plimsoll_stream::{BoundedQueue, QueuePolicy, ReserveError, SendError};
use tokio::time::Instant;

use crate::{Task, queue};

#[tokio::test]
async fn a_blocked_send_ends_when_an_item_is_received() {
    let queue = queue(1, QueuePolicy::BLOCK);
    queue.send(1).await.unwrap();
    let mut second = Task::new(queue.send(2));
    assert!(second.poll().is_pending());
    assert_eq!((queue.try_recv(), second.woken()), (Some(1), 1));
    assert!(matches!(second.poll(), Poll::Ready(Ok(sent)) if sent.seq == 1));
    assert_eq!(queue.drain(), [2]);
}

#[tokio::test]
async fn senders_are_served_in_the_order_of_their_arrival() {
    let queue = queue(1, QueuePolicy::BLOCK);
    queue.send(0).await.unwrap();
    let mut senders: Vec<_> = (1..=3).map(|n| Task::new(queue.send(n))).collect();
    assert!(senders.iter_mut().all(|sender| sender.poll().is_pending()));
    for n in 1..=3 {
        assert_eq!(queue.try_recv(), Some(n - 1));
        assert_eq!(
            queue.try_send(9),
            Err(SendError::Full(9)),
            "nothing overtakes"
        );
        let woken: Vec<_> = senders.iter().map(Task::woken).collect();
        assert_eq!(woken.iter().sum::<usize>(), n, "{woken:?}");
        assert!(senders[n - 1].poll().is_ready());
    }
    assert_eq!(queue.drain(), [3]);
}

#[tokio::test]
async fn room_for_several_senders_reaches_all_of_them() {
    let queue = queue(3, QueuePolicy::BLOCK);
    for n in 0..3 {
        queue.send(n).await.unwrap();
    }
    let mut senders: Vec<_> = (3..6).map(|n| Task::new(queue.send(n))).collect();
    assert!(senders.iter_mut().all(|sender| sender.poll().is_pending()));
    assert_eq!(queue.drain(), [0, 1, 2]);
    for sender in &mut senders {
        assert_eq!(sender.woken(), 1, "woken by the sender before it");
        assert!(sender.poll().is_ready());
    }
    assert_eq!(queue.drain(), [3, 4, 5]);
}

#[tokio::test(start_paused = true)]
async fn a_send_that_waits_too_long_hands_the_item_back() {
    let after = Duration::from_secs(2);
    let queue = queue(
        1,
        QueuePolicy::Block {
            timeout: Some(after),
        },
    );
    queue.send(1).await.unwrap();
    let start = Instant::now();
    let error = queue.send(2).await.unwrap_err();
    assert_eq!(start.elapsed(), after);
    assert_eq!(error, SendError::Timeout { item: 2, after });
    assert_eq!(queue.counters().timed_out(), 1);
    queue.try_recv().unwrap();
    assert!(queue.send(3).await.is_ok(), "the waiter has left");
}

#[tokio::test]
async fn a_change_of_the_policy_releases_senders_that_wait() {
    let queue = queue(1, QueuePolicy::BLOCK);
    queue.send(1).await.unwrap();
    let mut second = Task::new(queue.send(2));
    assert!(second.poll().is_pending());
    queue.set_policy(QueuePolicy::DropOldest).unwrap();
    assert_eq!(second.woken(), 1);
    assert!(second.poll().is_ready());
    assert_eq!(queue.drain(), [2]);
}

#[tokio::test]
async fn close_ends_senders_at_once_and_receivers_after_the_last_item() {
    let queue = queue(1, QueuePolicy::BLOCK);
    queue.send(1).await.unwrap();
    let mut second = Task::new(queue.send(2));
    assert!(second.poll().is_pending());
    assert!(queue.close());
    assert!(!queue.close(), "already closed");
    assert_eq!(second.woken(), 1);
    assert!(matches!(
        second.poll(),
        Poll::Ready(Err(SendError::Closed(2)))
    ));
    assert_eq!(queue.try_send(3), Err(SendError::Closed(3)));
    assert_eq!(queue.recv().await, Some(1));
    assert_eq!(queue.recv().await, None);
    assert_eq!(queue.counters().closed(), 2);
}

#[tokio::test]
async fn close_wakes_all_receivers() {
    let queue = queue::<u32>(1, QueuePolicy::BLOCK);
    let mut receivers: Vec<_> = (0..3).map(|_| Task::new(queue.recv())).collect();
    assert!(
        receivers
            .iter_mut()
            .all(|receiver| receiver.poll().is_pending())
    );
    queue.close();
    for receiver in &mut receivers {
        assert_eq!(receiver.woken(), 1);
        assert_eq!(receiver.poll(), Poll::Ready(None));
    }
}

#[tokio::test]
async fn a_receiver_is_woken_once_for_many_items() {
    let queue = queue(8, QueuePolicy::BLOCK);
    let mut receiver = Task::new(queue.recv());
    assert!(receiver.poll().is_pending());
    for n in 0..8 {
        queue.try_send(n).unwrap();
    }
    assert_eq!(receiver.woken(), 1);
    assert_eq!(receiver.poll(), Poll::Ready(Some(0)));
}

#[tokio::test]
async fn two_items_wake_two_receivers() {
    let queue = queue(8, QueuePolicy::BLOCK);
    let mut receivers: Vec<_> = (0..3).map(|_| Task::new(queue.recv())).collect();
    assert!(
        receivers
            .iter_mut()
            .all(|receiver| receiver.poll().is_pending())
    );
    queue.try_send(0).unwrap();
    queue.try_send(1).unwrap();
    let woken: Vec<_> = receivers.iter().map(Task::woken).collect();
    assert_eq!(woken, [1, 1, 0]);
}

#[tokio::test]
async fn a_permit_holds_room_also_after_close() {
    let queue = queue(1, QueuePolicy::DropNewest);
    let permit = queue.reserve().await.unwrap();
    assert!(
        !queue.try_send(1).unwrap().is_queued(),
        "the room is reserved"
    );
    queue.close();
    let mut receiver = Task::new(queue.recv());
    assert!(receiver.poll().is_pending(), "an item may come");
    permit.send(2).unwrap();
    assert_eq!(receiver.poll(), Poll::Ready(Some(2)));
    assert_eq!(queue.recv().await, None);
    assert_eq!(queue.reserve().await.unwrap_err(), ReserveError::Closed);
}

#[tokio::test]
async fn a_dropped_permit_ends_a_closed_queue() {
    let queue = queue::<u32>(1, QueuePolicy::BLOCK);
    let permit = queue.reserve().await.unwrap();
    queue.close();
    let mut receivers = [Task::new(queue.recv()), Task::new(queue.recv())];
    assert!(
        receivers
            .iter_mut()
            .all(|receiver| receiver.poll().is_pending())
    );
    drop(permit);
    for receiver in &mut receivers {
        assert_eq!(receiver.woken(), 1);
        assert_eq!(receiver.poll(), Poll::Ready(None));
    }
}

#[tokio::test]
async fn a_permit_takes_no_item_above_its_bytes() {
    let queue = BoundedQueue::builder(4).max_bytes(10).build().unwrap();
    let permit = queue.reserve_bytes(6).await.unwrap();
    assert_eq!(queue.try_reserve(5).unwrap_err(), ReserveError::Full);
    let error = queue.reserve_bytes(11).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "11 bytes were asked for, at most 10 are allowed"
    );
    let error = permit.send("1234567").unwrap_err();
    assert!(matches!(
        error,
        SendError::TooLarge {
            weight: 7,
            max: 6,
            ..
        }
    ));
    assert!(queue.try_reserve(10).is_ok(), "the room was released");
}

#[tokio::test]
async fn a_heavy_item_is_not_overtaken_by_light_ones() {
    let queue = BoundedQueue::builder(10).max_bytes(4).build().unwrap();
    queue.send("aa").await.unwrap();
    queue.send("bb").await.unwrap();
    let mut heavy = Task::new(queue.send("cccc"));
    assert!(heavy.poll().is_pending());
    queue.try_recv().unwrap();
    assert!(heavy.poll().is_pending());
    assert!(matches!(queue.try_send("d"), Err(SendError::Full("d"))));
    queue.try_recv().unwrap();
    assert!(heavy.poll().is_ready());
}

#[tokio::test]
async fn each_receive_beside_a_batch_grants_one_sender_that_waits() {
    let queue = queue(3, QueuePolicy::BLOCK);
    for n in 0..3 {
        queue.try_send(n).unwrap();
    }
    // The receiver has taken a batch of three, and 1 and 2 are still in it.
    assert_eq!(queue.try_recv(), Some(0));
    queue.try_send(3).unwrap();
    let mut senders = [4, 5, 6].map(|n| Task::new(queue.send(n)));
    assert!(senders.iter_mut().all(|sender| sender.poll().is_pending()));
    let woken = |senders: &[Task<_>; 3]| senders.each_ref().map(Task::woken);
    assert_eq!(queue.try_recv(), Some(1));
    assert_eq!(woken(&senders), [1, 0, 0]);
    assert!(senders[0].poll().is_ready());
    assert_eq!(woken(&senders), [1, 0, 0], "there is no more room");
    let mut items = Vec::new();
    assert_eq!(queue.recv_many(&mut items, 1).await, 1);
    assert_eq!((items, woken(&senders)), (vec![2], [1, 1, 0]));
    assert!(senders[1].poll().is_ready());
    assert_eq!(queue.try_recv(), Some(3));
    assert_eq!(woken(&senders), [1, 1, 1]);
    assert!(senders[2].poll().is_ready());
    assert_eq!(queue.drain(), [4, 5, 6]);
}

#[tokio::test]
async fn a_sender_that_leaves_beside_a_batch_passes_its_room_on() {
    let queue = queue(2, QueuePolicy::BLOCK);
    queue.try_send(0).unwrap();
    queue.try_send(1).unwrap();
    assert_eq!(queue.try_recv(), Some(0));
    queue.try_send(2).unwrap();
    let [mut first, mut second] = [3, 4].map(|n| Task::new(queue.send(n)));
    assert!(first.poll().is_pending() && second.poll().is_pending());
    assert_eq!(queue.try_recv(), Some(1));
    assert_eq!((first.woken(), second.woken()), (1, 0));
    drop(first);
    assert_eq!(second.woken(), 1);
    assert!(second.poll().is_ready());
    assert_eq!(queue.drain(), [2, 4]);
}

#[tokio::test]
async fn an_item_is_described_when_its_send_is_polled() {
    let queue = BoundedQueue::builder(2)
        .max_bytes_by(10, |_: &u32| panic!("asked about an item that is not sent"))
        .build()
        .unwrap();
    drop(queue.send(1));
}

/// Counts what a receiver that never waits takes before another task runs.
async fn taken_at_once<F>(receive: impl Fn(BoundedQueue<u32>) -> F + Send + 'static) -> u64
where
    F: Future<Output = bool> + Send + 'static,
{
    let queue = queue(1_000, QueuePolicy::BLOCK);
    for n in 0..1_000 {
        queue.try_send(n).unwrap();
    }
    queue.close();
    let receiving = queue.clone();
    let receiver = tokio::spawn(async move { while receive(receiving.clone()).await {} });
    tokio::task::yield_now().await;
    let taken = queue.counters().received();
    receiver.await.unwrap();
    assert_eq!(queue.counters().received(), 1_000);
    taken
}

#[tokio::test]
async fn a_receiver_that_never_waits_lets_other_tasks_run() {
    let recv = |queue: BoundedQueue<u32>| async move { queue.recv().await.is_some() };
    assert!((1..500).contains(&taken_at_once(recv).await));
    let delivery = |queue: BoundedQueue<u32>| async move { queue.recv_delivery().await.is_some() };
    assert!((1..500).contains(&taken_at_once(delivery).await));
    let many =
        |queue: BoundedQueue<u32>| async move { queue.recv_many(&mut Vec::new(), 1).await > 0 };
    assert!((1..500).contains(&taken_at_once(many).await));
    let stream = |queue: BoundedQueue<u32>| async move { queue.items().next().await.is_some() };
    assert!((1..500).contains(&taken_at_once(stream).await));
}

#[test]
fn senders_are_woken_one_at_a_time() {
    let queue = queue(3, QueuePolicy::BLOCK);
    for n in 0..3 {
        queue.try_send(n).unwrap();
    }
    let mut senders = [3, 4].map(|n| Task::new(queue.send(n)));
    assert!(senders.iter_mut().all(|sender| sender.poll().is_pending()));
    assert_eq!(queue.drain(), [0, 1, 2]);
    let woken = |senders: &[Task<_>; 2]| senders.each_ref().map(Task::woken);
    assert_eq!(woken(&senders), [1, 0]);
    // Nor does a receiver that waits make a difference.
    let mut receiver = Task::new(queue.recv());
    assert!(receiver.poll().is_pending());
    queue.try_send(5).unwrap();
    assert_eq!((receiver.woken(), woken(&senders)), (1, [1, 0]));
    assert!(senders[0].poll().is_ready());
    assert_eq!(
        woken(&senders),
        [1, 1],
        "the next one, once the first was polled"
    );
}
