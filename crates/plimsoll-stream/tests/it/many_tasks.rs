//! All kinds of sends and receives at once, on several threads.

use std::time::Duration;

use plimsoll_stream::{BoundedQueue, Delivery, QueuePolicy};
use tokio::{select, task::yield_now, time::timeout};

use crate::queue;

/// A producer and the number of its item.
type Item = (u64, u64);

const PRODUCERS: u64 = 4;
const CONSUMERS: u64 = 4;
const EACH: u64 = 3_000;
/// A task that ends later hangs.
const HANGS: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn each_item_is_received_once_and_in_order_by_any_kind_of_receive() {
    for capacity in [1, 2, 3, 16, 300, 1024] {
        let queue = queue(capacity, QueuePolicy::BLOCK);
        let producers: Vec<_> = (0..PRODUCERS)
            .map(|producer| tokio::spawn(produce(queue.clone(), producer)))
            .collect();
        let consumers: Vec<_> = (0..CONSUMERS)
            .map(|consumer| tokio::spawn(consume(queue.clone(), consumer)))
            .collect();
        for producer in producers {
            let ended = timeout(HANGS, producer).await;
            ended.expect("no send hangs").unwrap();
        }
        queue.close();
        let mut all = Vec::new();
        for consumer in consumers {
            let ended = timeout(HANGS, consumer).await;
            all.extend(ended.expect("no receive hangs").unwrap());
        }
        all.sort_unstable();
        let sent = (0..PRODUCERS).flat_map(|producer| (0..EACH).map(move |n| (producer, n)));
        assert!(all.into_iter().eq(sent), "capacity {capacity}");
        let counters = queue.counters();
        assert_eq!(
            (counters.sent(), counters.received()),
            (PRODUCERS * EACH, PRODUCERS * EACH)
        );
    }
}

/// Changes the kind of send from time to time.
async fn produce(queue: BoundedQueue<Item>, producer: u64) {
    for n in 0..EACH {
        let item = (producer, n);
        match (producer + n / 100) % 4 {
            0 => _ = queue.send(item).await.unwrap(),
            1 => _ = queue.reserve().await.unwrap().send(item).unwrap(),
            2 => {
                if queue.try_send(item).is_err() {
                    queue.send(item).await.unwrap();
                }
            }
            _ => loop {
                select! {
                    permit = queue.reserve() => {
                        permit.unwrap().send(item).unwrap();
                        break;
                    }
                    () = yield_now() => {}
                }
            },
        }
        assert!(queue.len() <= queue.capacity());
    }
}

/// Changes the kind of receive from time to time, and checks the order of each producer's items.
async fn consume(queue: BoundedQueue<Item>, consumer: u64) -> Vec<Item> {
    let mut all = Vec::new();
    for turn in 0.. {
        let item = match (consumer + turn / 50) % 5 {
            0 => queue.recv().await,
            1 => match queue.recv_many(&mut all, 1 + turn as usize % 40).await {
                0 => None,
                _ => all.pop(),
            },
            2 => match queue.recv_delivery().await {
                Some(Delivery::Item { item, .. }) => Some(item),
                Some(Delivery::Gap(gap)) => panic!("lost {gap:?}"),
                None => None,
            },
            3 => {
                let item = queue.try_recv();
                if item.is_none() {
                    yield_now().await;
                    continue;
                }
                item
            }
            _ => select! {
                item = queue.recv() => item,
                () = yield_now() => continue,
            },
        };
        match item {
            Some(item) => all.push(item),
            None => break,
        }
    }
    for producer in 0..PRODUCERS {
        let numbers = all.iter().filter(|item| item.0 == producer);
        assert!(numbers.map(|item| item.1).is_sorted());
    }
    all
}
