//! One publisher, many subscribers: deliveries per second on two workers, and memory.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use plimsoll_stream::{Delivery, Hub};
use tokio::{runtime::Builder, task::yield_now};

use crate::{channel::Item, report::Row};

/// Items that fit: more than are published, so that no contender loses one.
const CAPACITY: usize = 1024;

/// Subscribers, items published, and items between two yields of the publisher.
///
/// With one item the subscribers wait most of the time; with 64 they read what is there.
const CASES: [(&str, usize, u64, u64); 4] = [
    ("hub/1000", 1_000, 512, 1),
    ("hub/1000/bursts of 64", 1_000, 512, 64),
    ("hub/10000", 10_000, 128, 1),
    ("hub/10000/bursts of 64", 10_000, 128, 64),
];

/// A contender: runs a case, and returns the time and how many items were delivered.
type Run = fn(usize, u64, u64) -> (Duration, u64);

const CONTENDERS: [(&str, Run); 4] = [
    ("plimsoll", run::<Plimsoll>),
    ("tokio broadcast", run::<Tokio>),
    ("splaycast", run::<Splay>),
    ("async-broadcast", run::<Async>),
];

trait Broadcast: Sized + Send + 'static {
    type Receiver: Send + 'static;
    /// Called on the runtime.
    fn open() -> Self;
    fn subscribe(&self) -> Self::Receiver;
    fn publish(&self, item: Item);
    /// The next item, `None` at the end.
    fn recv(receiver: &mut Self::Receiver) -> impl Future<Output = Option<Item>> + Send;
}

fn run<B: Broadcast + Sync>(subscribers: usize, items: u64, burst: u64) -> (Duration, u64) {
    let mut builder = Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_time().build();
    let runtime = runtime.expect("a runtime with two workers");
    runtime.block_on(async move {
        let broadcast = B::open();
        let tasks: Vec<_> = (0..subscribers)
            .map(|_| {
                let mut receiver = broadcast.subscribe();
                tokio::spawn(async move {
                    let mut count = 0;
                    while count < items && B::recv(&mut receiver).await.is_some() {
                        count += 1;
                    }
                    count
                })
            })
            .collect();
        // All subscribers wait before the first item.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let start = Instant::now();
        let publisher = tokio::spawn(async move {
            for n in 0..items {
                broadcast.publish([n, 0, 0, 0]);
                if (n + 1) % burst == 0 {
                    yield_now().await;
                }
            }
            broadcast
        });
        let broadcast = publisher.await;
        let mut delivered = 0;
        for task in tasks {
            delivered += task.await.unwrap_or_default();
        }
        let took = start.elapsed();
        drop(broadcast);
        (took, delivered)
    })
}

pub(crate) fn race(
    rounds: usize,
    selected: impl Fn(&str, &str) -> bool,
) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    for (case, subscribers, items, burst) in CASES {
        let contenders = CONTENDERS.iter().filter(|(name, _)| selected(case, name));
        let mut contenders: Vec<_> = contenders.map(|one| (one, Duration::MAX)).collect();
        let due = subscribers as u64 * items;
        for _ in 0..rounds {
            for ((name, run), best) in &mut contenders {
                let (took, delivered) = run(subscribers, items, burst);
                if delivered != due {
                    return Err(format!("{case}: {name} delivered {delivered} of {due}"));
                }
                *best = took.min(*best);
            }
        }
        rows.extend(contenders.iter().map(|((name, _), best)| {
            Row::new(case, name, best.as_nanos() as f64 / due as f64, None)
        }));
    }
    Ok(rows)
}

/// Bytes that a subscriber uses which waits for the first item: all that is allocated for it, its
/// future included.
pub(crate) fn idle_subscriber_bytes() -> u64 {
    const SUBSCRIBERS: u64 = 1_000;
    let hub = Hub::<Item>::new(CAPACITY).expect("a valid hub");
    let mut held = Vec::with_capacity(SUBSCRIBERS as usize);
    let waker = std::task::Waker::noop();
    let info = allocation_counter::measure(|| {
        for _ in 0..SUBSCRIBERS {
            let mut subscription = hub.subscribe().expect("room");
            let mut cx = std::task::Context::from_waker(waker);
            assert!(subscription.poll_recv(&mut cx).is_pending());
            held.push(Box::new(subscription));
        }
    });
    info.bytes_current as u64 / SUBSCRIBERS
}

struct Plimsoll(Hub<Item>);

impl Broadcast for Plimsoll {
    type Receiver = plimsoll_stream::Subscription<Item>;

    fn open() -> Self {
        Self(Hub::new(CAPACITY).expect("a valid hub"))
    }

    fn subscribe(&self) -> Self::Receiver {
        self.0.subscribe().expect("room")
    }

    fn publish(&self, item: Item) {
        _ = self.0.publish(item);
    }

    async fn recv(receiver: &mut Self::Receiver) -> Option<Item> {
        match receiver.recv().await {
            Ok(Delivery::Item { item, .. }) => Some(item),
            _ => None,
        }
    }
}

struct Tokio(tokio::sync::broadcast::Sender<Item>);

impl Broadcast for Tokio {
    type Receiver = tokio::sync::broadcast::Receiver<Item>;

    fn open() -> Self {
        Self(tokio::sync::broadcast::Sender::new(CAPACITY))
    }

    fn subscribe(&self) -> Self::Receiver {
        self.0.subscribe()
    }

    fn publish(&self, item: Item) {
        _ = self.0.send(item);
    }

    async fn recv(receiver: &mut Self::Receiver) -> Option<Item> {
        receiver.recv().await.ok()
    }
}

struct Splay(splaycast::Sender<Item>, splaycast::Splaycast<Item>);

impl Broadcast for Splay {
    type Receiver = splaycast::Receiver<Item>;

    fn open() -> Self {
        let (sender, engine, splaycast) = splaycast::channel(CAPACITY);
        tokio::spawn(engine);
        Self(sender, splaycast)
    }

    fn subscribe(&self) -> Self::Receiver {
        self.1.subscribe()
    }

    fn publish(&self, item: Item) {
        _ = self.0.send(item);
    }

    async fn recv(receiver: &mut Self::Receiver) -> Option<Item> {
        match receiver.next().await {
            Some(splaycast::Message::Entry { item }) => Some(item),
            _ => None,
        }
    }
}

struct Async(
    async_broadcast::Sender<Item>,
    async_broadcast::Receiver<Item>,
);

impl Broadcast for Async {
    type Receiver = async_broadcast::Receiver<Item>;

    fn open() -> Self {
        let (mut sender, receiver) = async_broadcast::broadcast(CAPACITY);
        sender.set_overflow(true);
        Self(sender, receiver)
    }

    fn subscribe(&self) -> Self::Receiver {
        self.1.new_receiver()
    }

    fn publish(&self, item: Item) {
        _ = self.0.try_broadcast(item);
    }

    async fn recv(receiver: &mut Self::Receiver) -> Option<Item> {
        receiver.recv_direct().await.ok()
    }
}
