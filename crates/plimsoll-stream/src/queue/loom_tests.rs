//! Models of waiters: no wake-up and no item is lost, in any interleaving.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Waker},
};

use loom::{future::block_on, thread};

use crate::{BoundedQueue, QueuePolicy};

pub(super) fn queue(capacity: usize, policy: QueuePolicy) -> BoundedQueue<u32> {
    BoundedQueue::new(capacity, policy).unwrap()
}

/// Runs a model of three threads with at most two preemptions, which find most faults; all of them
/// would take minutes.
pub(super) fn three_threads(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(model);
}

/// Polls once, and drops the future. Returns whether it was ready.
fn poll_and_drop(future: impl Future) -> bool {
    let future = pin!(future);
    future
        .poll(&mut Context::from_waker(Waker::noop()))
        .is_ready()
}

#[test]
fn a_sender_that_waits_is_woken_by_the_receiver() {
    loom::model(|| {
        let queue = queue(1, QueuePolicy::BLOCK);
        let sending = queue.clone();
        let sender = thread::spawn(move || {
            block_on(sending.send(1)).unwrap();
            block_on(sending.send(2)).unwrap();
        });
        assert_eq!(block_on(queue.recv()), Some(1));
        assert_eq!(block_on(queue.recv()), Some(2));
        sender.join().unwrap();
        assert_eq!(queue.counters().received(), 2);
    });
}

#[test]
fn two_senders_get_the_room_one_after_the_other() {
    three_threads(|| {
        let queue = queue(1, QueuePolicy::BLOCK);
        queue.try_send(0).unwrap();
        let senders = [1, 2].map(|item| {
            let queue = queue.clone();
            thread::spawn(move || block_on(queue.send(item)).map(|_| ()).unwrap())
        });
        let mut all: Vec<_> = (0..3).filter_map(|_| block_on(queue.recv())).collect();
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2]);
        for sender in senders {
            sender.join().unwrap();
        }
    });
}

#[test]
fn a_cancelled_sender_releases_its_room() {
    loom::model(|| {
        let queue = queue(1, QueuePolicy::BLOCK);
        queue.try_send(0).unwrap();
        let cancelled = queue.clone();
        let gone = thread::spawn(move || poll_and_drop(cancelled.send(1)));
        assert_eq!(block_on(queue.recv()), Some(0));
        if gone.join().unwrap() {
            assert_eq!(block_on(queue.recv()), Some(1));
        }
        assert!(queue.try_reserve(0).is_ok(), "no room was lost");
    });
}

#[test]
fn a_cancelled_receiver_hands_its_item_over() {
    three_threads(|| {
        let queue = queue(2, QueuePolicy::BLOCK);
        let (cancelled, receiving) = (queue.clone(), queue.clone());
        let gone = thread::spawn(move || poll_and_drop(cancelled.recv()));
        let receiver = thread::spawn(move || block_on(receiving.recv()));
        queue.try_send(1).unwrap();
        if gone.join().unwrap() {
            // The other one took the item.
            queue.try_send(1).unwrap();
        }
        assert_eq!(receiver.join().unwrap(), Some(1));
    });
}

#[test]
fn two_receivers_get_two_items() {
    three_threads(|| {
        let queue = queue(2, QueuePolicy::BLOCK);
        let receivers = [0, 1].map(|_| {
            let queue = queue.clone();
            thread::spawn(move || block_on(queue.recv()).unwrap())
        });
        queue.try_send(1).unwrap();
        queue.try_send(2).unwrap();
        let sum: u32 = receivers
            .map(|receiver| receiver.join().unwrap())
            .iter()
            .sum();
        assert_eq!(sum, 3);
    });
}

#[test]
fn close_ends_a_sender_that_waits() {
    loom::model(|| {
        let queue = queue(1, QueuePolicy::BLOCK);
        queue.try_send(1).unwrap();
        let sending = queue.clone();
        let sender = thread::spawn(move || block_on(sending.send(2)).is_ok());
        queue.close();
        let mut received = 0;
        while block_on(queue.recv()).is_some() {
            received += 1;
        }
        assert_eq!(1 + u64::from(sender.join().unwrap()), received);
    });
}

#[test]
fn close_ends_a_receiver_that_waits() {
    loom::model(|| {
        let queue = queue(1, QueuePolicy::BLOCK);
        let closing = queue.clone();
        let closer = thread::spawn(move || closing.close());
        assert_eq!(block_on(queue.recv()), None);
        closer.join().unwrap();
    });
}

#[test]
fn a_permit_that_is_dropped_ends_a_closed_queue() {
    loom::model(|| {
        let queue = queue(1, QueuePolicy::BLOCK);
        let reserving = queue.clone();
        let permit = thread::spawn(move || {
            if let Ok(permit) = reserving.try_reserve(0) {
                reserving.close();
                drop(permit);
            }
        });
        assert_eq!(block_on(queue.recv()), None);
        permit.join().unwrap();
    });
}

#[test]
fn an_evicting_sender_and_a_receiver_share_each_item_once() {
    loom::model(|| {
        let queue = queue(1, QueuePolicy::DropOldest);
        queue.try_send(1).unwrap();
        let sending = queue.clone();
        let sender =
            thread::spawn(move || sending.try_send(2).unwrap().lost.into_iter().count() as u64);
        let received = u64::from(queue.try_recv().is_some());
        let lost = sender.join().unwrap();
        let counters = queue.counters();
        assert_eq!((counters.received(), counters.dropped()), (received, lost));
        assert_eq!(
            counters.sent(),
            received + lost + queue.drain().len() as u64
        );
    });
}

#[test]
fn a_change_of_the_policy_releases_a_sender_that_waits() {
    loom::model(|| {
        let queue = queue(1, QueuePolicy::BLOCK);
        queue.try_send(1).unwrap();
        let sending = queue.clone();
        let sender =
            thread::spawn(move || block_on(sending.send(2)).unwrap().lost.into_iter().count());
        queue.set_policy(QueuePolicy::DropOldest).unwrap();
        assert_eq!(sender.join().unwrap(), 1);
        assert_eq!(queue.drain(), [2]);
    });
}
