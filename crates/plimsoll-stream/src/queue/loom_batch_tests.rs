//! Models of receivers that share a batch, beside operations that put it back.

use loom::{future::block_on, thread};

use super::loom_tests::{queue, three_threads};
use crate::{BoundedQueue, QueuePolicy};

/// A full queue that has received its first item: the others are in the batch.
fn batched(capacity: u32) -> BoundedQueue<u32> {
    let queue = queue(capacity as usize + 1, QueuePolicy::BLOCK);
    for item in 0..=capacity {
        queue.try_send(item).unwrap();
    }
    assert_eq!(queue.try_recv(), Some(0));
    queue
}

#[test]
fn two_receivers_share_a_batch_in_order() {
    three_threads(|| {
        let queue = batched(3);
        let receiving = queue.clone();
        let many = thread::spawn(move || {
            let mut items = Vec::new();
            block_on(receiving.recv_many(&mut items, 2));
            items
        });
        let one = queue.try_recv();
        let many = many.join().unwrap();
        let rest = queue.drain();
        assert!(many.is_sorted() && rest.is_sorted());
        let mut all: Vec<_> = one.into_iter().chain(many).chain(rest).collect();
        all.sort_unstable();
        assert_eq!(all, [1, 2, 3]);
    });
}

#[test]
fn a_sender_never_exceeds_the_capacity_beside_a_batch() {
    loom::model(|| {
        let queue = batched(1);
        let sending = queue.clone();
        let sender = thread::spawn(move || {
            let sent = [2, 3].map(|item| sending.try_send(item).is_ok());
            assert!(sending.len() <= 2);
            sent.into_iter().filter(|sent| *sent).count()
        });
        let received = usize::from(queue.try_recv().is_some());
        let sent = sender.join().unwrap();
        assert!((1..=1 + received).contains(&sent), "one item fits, or two");
        let counters = queue.counters();
        assert_eq!(counters.received(), 1 + received as u64);
        assert_eq!(queue.drain().len(), 1 + sent - received);
    });
}

#[test]
fn a_sender_that_waits_beside_a_batch_gets_its_room() {
    loom::model(|| {
        let queue = batched(1);
        let sending = queue.clone();
        let sender = thread::spawn(move || {
            for item in [2, 3] {
                block_on(sending.send(item)).unwrap();
            }
        });
        let received = [(); 3].map(|()| block_on(queue.recv()));
        sender.join().unwrap();
        assert_eq!(received, [Some(1), Some(2), Some(3)]);
    });
}

#[test]
fn two_senders_that_wait_beside_a_batch_get_their_room() {
    three_threads(|| {
        let queue = batched(1);
        queue.try_send(2).unwrap();
        let senders = [3, 4].map(|item| {
            let queue = queue.clone();
            thread::spawn(move || block_on(queue.send(item)).map(|_| ()).unwrap())
        });
        let mut received = [(); 4].map(|()| block_on(queue.recv()).unwrap());
        senders
            .into_iter()
            .for_each(|sender| sender.join().unwrap());
        assert_eq!(received[..2], [1, 2]);
        received.sort_unstable();
        assert_eq!(received, [1, 2, 3, 4]);
    });
}

#[test]
fn a_batch_that_is_put_back_keeps_its_place() {
    loom::model(|| {
        let queue = batched(2);
        let sending = queue.clone();
        let sender = thread::spawn(move || {
            sending.try_send(3).unwrap();
            // Puts the batch back.
            sending.set_policy(QueuePolicy::DropNewest).unwrap();
        });
        let first = queue.try_recv();
        sender.join().unwrap();
        let rest = queue.drain();
        let all: Vec<_> = first.into_iter().chain(rest).collect();
        assert_eq!(all, [1, 2, 3]);
    });
}

#[test]
fn the_end_comes_after_the_batch() {
    loom::model(|| {
        let queue = batched(1);
        let closing = queue.clone();
        let closer = thread::spawn(move || {
            let sent = closing.try_send(2).is_ok();
            closing.close();
            sent
        });
        let mut received = Vec::new();
        while let Some(item) = block_on(queue.recv()) {
            received.push(item);
        }
        assert!(closer.join().unwrap());
        assert_eq!(received, [1, 2]);
    });
}
