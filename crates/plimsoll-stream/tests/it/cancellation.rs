//! Futures that are dropped while they wait, or after they were granted.

use std::task::Poll;

use plimsoll_stream::QueuePolicy;

use crate::{Task, queue};

#[tokio::test]
async fn a_dropped_send_leaves_the_queue_as_it_was() {
    let queue = queue(1, QueuePolicy::BLOCK);
    queue.send(1).await.unwrap();
    let mut second = Task::new(queue.send(2));
    assert!(second.poll().is_pending());
    drop(second);
    assert_eq!(queue.drain(), [1]);
    assert_eq!(queue.counters().sent(), 1);
    queue.try_send(3).expect("the place was released");
}

#[tokio::test]
async fn a_send_dropped_after_its_grant_hands_the_room_over() {
    let queue = queue(1, QueuePolicy::BLOCK);
    queue.send(1).await.unwrap();
    let (mut second, mut third) = (Task::new(queue.send(2)), Task::new(queue.send(3)));
    assert!(second.poll().is_pending() && third.poll().is_pending());
    assert_eq!(queue.try_recv(), Some(1));
    assert_eq!((second.woken(), third.woken()), (1, 0));
    drop(second);
    assert_eq!(third.woken(), 1);
    assert!(third.poll().is_ready());
    assert_eq!(queue.drain(), [3]);
}

#[tokio::test]
async fn a_receiver_dropped_after_its_wake_hands_the_item_over() {
    let queue = queue(2, QueuePolicy::BLOCK);
    let (mut first, mut second) = (Task::new(queue.recv()), Task::new(queue.recv()));
    assert!(first.poll().is_pending() && second.poll().is_pending());
    queue.try_send(1).unwrap();
    assert_eq!((first.woken(), second.woken()), (1, 0));
    drop(first);
    assert_eq!(second.woken(), 1);
    assert_eq!(second.poll(), Poll::Ready(Some(1)));
}

#[tokio::test]
async fn a_dropped_reservation_keeps_the_item_with_its_owner() {
    let queue = queue(1, QueuePolicy::BLOCK);
    queue.send(1).await.unwrap();
    let mut reserving = Task::new(queue.reserve());
    assert!(reserving.poll().is_pending());
    drop(reserving);
    let item = 2;
    assert_eq!(queue.try_recv(), Some(1));
    queue.reserve().await.unwrap().send(item).unwrap();
    assert_eq!(queue.drain(), [2]);
}

#[tokio::test]
async fn a_cancelled_batch_takes_nothing() {
    let queue = queue(4, QueuePolicy::BLOCK);
    let mut batch = Vec::new();
    let mut receiving = Task::new(queue.recv_many(&mut batch, 3));
    assert!(receiving.poll().is_pending());
    for n in 0..4 {
        queue.try_send(n).unwrap();
    }
    drop(receiving);
    assert!(batch.is_empty());
    assert_eq!(queue.recv_many(&mut batch, 3).await, 3);
    assert_eq!(batch, [0, 1, 2]);
    assert_eq!(queue.len(), 1);
}
