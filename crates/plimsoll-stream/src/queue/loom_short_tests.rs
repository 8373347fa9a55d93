//! Models of short operations beside operations that decide something.

use loom::{future::block_on, thread};

use super::loom_tests::{queue, three_threads};
use crate::{BoundedQueue, QueuePolicy, Sent};

/// A queue that has memory for its items, so that its sends are short.
fn used(capacity: usize) -> BoundedQueue<u32> {
    let queue = queue(capacity, QueuePolicy::BLOCK);
    // The first receive leaves the memory to the batch.
    for item in 0..2 {
        queue.try_send(item).unwrap();
        assert_eq!(queue.try_recv(), Some(item));
    }
    queue
}

#[test]
fn a_short_send_wakes_a_receiver_that_waits() {
    loom::model(|| {
        let queue = used(2);
        let sending = queue.clone();
        let sender = thread::spawn(move || {
            sending.try_send(1).unwrap();
            sending.try_send(2).unwrap();
        });
        assert_eq!(block_on(queue.recv()), Some(1));
        assert_eq!(block_on(queue.recv()), Some(2));
        sender.join().unwrap();
        assert!(queue.is_empty());
    });
}

#[test]
fn a_short_receive_wakes_a_sender_that_waits() {
    loom::model(|| {
        let queue = used(1);
        queue.try_send(1).unwrap();
        let sending = queue.clone();
        let sender = thread::spawn(move || block_on(sending.send(2)).map(|sent| sent.seq).unwrap());
        assert_eq!(queue.try_recv(), Some(1));
        assert_eq!(sender.join().unwrap(), 3);
        assert_eq!(queue.drain(), [2]);
    });
}

#[test]
fn short_sends_and_receives_keep_the_order_of_a_sender() {
    three_threads(|| {
        let queue = used(2);
        let (sending, receiving) = (queue.clone(), queue.clone());
        let sender = thread::spawn(move || {
            block_on(sending.send(1)).unwrap();
            block_on(sending.send(2)).unwrap();
        });
        let receiver = thread::spawn(move || receiving.try_recv());
        let first = queue.try_recv();
        let second = receiver.join().unwrap();
        sender.join().unwrap();
        let mut all: Vec<_> = first.into_iter().chain(second).collect();
        all.sort_unstable();
        all.extend(queue.drain());
        assert_eq!(all, [1, 2]);
    });
}

#[test]
fn a_change_of_the_policy_between_short_sends_loses_nothing_in_silence() {
    three_threads(|| {
        let queue = used(1);
        let (sending, receiving) = (queue.clone(), queue.clone());
        let sender = thread::spawn(move || {
            let sent = [1, 2].map(|item| sending.try_send(item));
            let lost = |sent: Sent<u32>| sent.lost.len() as u64;
            let ok = sent.into_iter().flatten().map(lost);
            ok.fold((0, 0), |(sent, lost), more| (sent + 1, lost + more))
        });
        let receiver = thread::spawn(move || u64::from(receiving.try_recv().is_some()));
        queue.set_policy(QueuePolicy::DropOldest).unwrap();
        let ((sent, lost), received) = (sender.join().unwrap(), receiver.join().unwrap());
        assert!(queue.len() <= 1);
        assert_eq!(sent, lost + received + queue.drain().len() as u64);
    });
}

#[test]
fn close_ends_short_sends_and_loses_no_item() {
    three_threads(|| {
        let queue = used(2);
        let (sending, receiving) = (queue.clone(), queue.clone());
        let sender = thread::spawn(move || {
            let sent = [1, 2].map(|item| sending.try_send(item).is_ok());
            sent.into_iter().filter(|sent| *sent).count()
        });
        let receiver = thread::spawn(move || {
            let mut received = 0;
            while block_on(receiving.recv()).is_some() {
                received += 1;
            }
            received
        });
        queue.close();
        assert_eq!(sender.join().unwrap(), receiver.join().unwrap());
    });
}

#[test]
fn short_evictions_and_receives_lose_no_count() {
    loom::model(|| {
        let queue = queue(1, QueuePolicy::DropOldest);
        // The second send evicts, so that the next one is short.
        queue.try_send(0).unwrap();
        queue.try_send(1).unwrap();
        let sending = queue.clone();
        let sender = thread::spawn(move || {
            let sends = [2, 3].map(|item| sending.try_send(item).unwrap());
            sends.map(|sent| {
                sent.lost
                    .into_iter()
                    .map(|(item, _)| item)
                    .collect::<Vec<_>>()
            })
        });
        let received = queue.try_recv().unwrap();
        let mut all = sender.join().unwrap().concat();
        all.push(received);
        all.extend(queue.drain());
        all.sort_unstable();
        assert_eq!(all, [1, 2, 3], "each item once");
        let counters = queue.counters();
        assert_eq!(counters.sent(), 4);
        assert_eq!(counters.sent(), counters.received() + counters.dropped());
    });
}
