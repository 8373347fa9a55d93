//! Operations on one thread without contention, in nanoseconds.

use std::{
    collections::VecDeque,
    hint::black_box,
    sync::Mutex,
    time::{Duration, Instant},
};

use plimsoll_stream::{BoundedQueue, BoundedQueueBuilder, Criticality, Priority, QueuePolicy};

use crate::channel::Item;

const CAPACITY: usize = 1024;
const EMPTY: &str = "queue/push+pop";
const OLDEST: &str = "queue/drop_oldest/full";
const NEWEST: &str = "queue/drop_newest/full";

/// One contender in one case, and its best round.
pub(crate) struct Single {
    pub(crate) case: &'static str,
    pub(crate) contender: &'static str,
    run: Box<dyn FnMut(Item)>,
    pub(crate) ns: f64,
}

/// Runs rounds in which each has a turn, so that a slow phase of the machine affects all.
pub(crate) fn race(all: &mut [Single], rounds: usize, calls: u64) {
    for _ in 0..rounds {
        for single in &mut *all {
            let start = Instant::now();
            for n in 0..calls {
                (single.run)(black_box([n, 0, 0, 0]));
            }
            let ns = start.elapsed().as_nanos() as f64 / calls as f64;
            single.ns = single.ns.min(ns);
        }
    }
}

fn single(case: &'static str, contender: &'static str, run: impl FnMut(Item) + 'static) -> Single {
    Single {
        case,
        contender,
        run: Box::new(run),
        ns: f64::INFINITY,
    }
}

fn build(
    policy: QueuePolicy,
    settings: impl FnOnce(BoundedQueueBuilder<Item>) -> BoundedQueueBuilder<Item>,
) -> BoundedQueue<Item> {
    let builder = settings(BoundedQueue::builder(CAPACITY)).policy(policy);
    builder.build().expect("a valid queue")
}

/// A queue in a case of a full queue: filled first.
fn full(
    case: &'static str,
    contender: &'static str,
    policy: QueuePolicy,
    settings: impl FnOnce(BoundedQueueBuilder<Item>) -> BoundedQueueBuilder<Item>,
) -> Single {
    let queue = build(policy, settings);
    for n in 0..CAPACITY as u64 {
        _ = queue.try_send([n, 0, 0, 0]);
    }
    single(case, contender, move |item| {
        _ = black_box(queue.try_send(item));
    })
}

fn push_and_pop(contender: &'static str, waits: Option<u32>) -> Single {
    let queue = build(QueuePolicy::BLOCK, |builder| match waits {
        Some(every) => builder.measure_waits(every),
        None => builder,
    });
    single(EMPTY, contender, move |item| {
        _ = queue.try_send(item);
        black_box(queue.try_recv());
    })
}

pub(crate) fn all() -> Vec<Single> {
    let mut all = vec![
        push_and_pop("plimsoll", None),
        push_and_pop("plimsoll, waits of 1 in 16", Some(16)),
        push_and_pop("plimsoll, all waits", Some(1)),
        full(OLDEST, "plimsoll", QueuePolicy::DropOldest, |builder| {
            builder
        }),
        full(
            OLDEST,
            "plimsoll, waits of 1 in 16",
            QueuePolicy::DropOldest,
            |builder| builder.measure_waits(16),
        ),
        full(
            OLDEST,
            "plimsoll, bytes",
            QueuePolicy::DropOldest,
            |builder| builder.max_bytes_by(CAPACITY * size_of::<Item>(), size_of_val),
        ),
        full(NEWEST, "plimsoll", QueuePolicy::DropNewest, |builder| {
            builder
        }),
        full(
            "queue/drop_random/full",
            "plimsoll",
            QueuePolicy::DropRandom { seed: 1 },
            |builder| builder,
        ),
        full(
            "queue/drop_lowest_priority/full",
            "plimsoll",
            QueuePolicy::DropLowestPriority,
            |builder| {
                builder.priority(|item| {
                    Priority::new(Criticality::Critical).in_cohort((item[0] % 128) as u8)
                })
            },
        ),
        full(
            "queue/drop_expired/full",
            "plimsoll",
            QueuePolicy::DropExpired {
                ttl: Duration::from_micros(10),
            },
            |builder| builder,
        ),
        full(
            "queue/coalesce/512 keys",
            "plimsoll",
            QueuePolicy::Coalesce,
            |builder| builder.key(|item| item[0] % 512),
        ),
    ];
    all.extend(peers_push_and_pop());
    all.extend(peers_full());
    all
}

fn peers_push_and_pop() -> Vec<Single> {
    let array = crossbeam_queue::ArrayQueue::new(CAPACITY);
    let (mut producer, mut consumer) = rtrb::RingBuffer::new(CAPACITY);
    let ring = Mutex::new(VecDeque::new());
    let (tokio_tx, mut tokio_rx) = tokio::sync::mpsc::channel(CAPACITY);
    let (async_tx, async_rx) = async_channel::bounded(CAPACITY);
    let (flume_tx, flume_rx) = flume::bounded(CAPACITY);
    let (kanal_tx, kanal_rx) = kanal::bounded_async(CAPACITY);
    let (cross_tx, cross_rx) = crossfire::mpmc::bounded_async(CAPACITY);
    let (thing_tx, thing_rx) = thingbuf::mpsc::channel(CAPACITY);
    let (rapid_tx, rapid_rx) = rapidfire::bounded(CAPACITY);
    vec![
        single(EMPTY, "rtrb (one producer, sync)", move |item| {
            _ = producer.push(item);
            _ = black_box(consumer.pop());
        }),
        single(EMPTY, "ArrayQueue (sync)", move |item| {
            _ = array.push(item);
            black_box(array.pop());
        }),
        single(EMPTY, "Mutex<VecDeque> (sync)", move |item| {
            ring.lock().expect("not poisoned").push_back(item);
            black_box(ring.lock().expect("not poisoned").pop_front());
        }),
        single(EMPTY, "tokio mpsc", move |item| {
            _ = tokio_tx.try_send(item);
            _ = black_box(tokio_rx.try_recv());
        }),
        single(EMPTY, "async-channel", move |item| {
            _ = async_tx.try_send(item);
            _ = black_box(async_rx.try_recv());
        }),
        single(EMPTY, "flume", move |item| {
            _ = flume_tx.try_send(item);
            _ = black_box(flume_rx.try_recv());
        }),
        single(EMPTY, "kanal", move |item| {
            _ = kanal_tx.try_send(item);
            _ = black_box(kanal_rx.try_recv());
        }),
        single(EMPTY, "crossfire mpmc", move |item| {
            _ = cross_tx.try_send(item);
            _ = black_box(cross_rx.try_recv());
        }),
        single(EMPTY, "thingbuf", move |item| {
            _ = thing_tx.try_send(item);
            _ = black_box(thing_rx.try_recv());
        }),
        single(EMPTY, "rapidfire mpmc", move |item| {
            _ = rapid_tx.try_send(item);
            _ = black_box(rapid_rx.try_recv());
        }),
    ]
}

fn peers_full() -> Vec<Single> {
    let array = crossbeam_queue::ArrayQueue::new(CAPACITY);
    let ring = Mutex::new(VecDeque::with_capacity(CAPACITY));
    let (async_tx, async_rx) = async_channel::bounded(CAPACITY);
    let (broadcast_tx, broadcast_rx) = tokio::sync::broadcast::channel(CAPACITY);
    let (mut over_tx, over_rx) = async_broadcast::broadcast(CAPACITY);
    over_tx.set_overflow(true);
    let newest = crossbeam_queue::ArrayQueue::new(CAPACITY);
    let (tokio_tx, tokio_rx) = tokio::sync::mpsc::channel(CAPACITY);
    for n in 0..CAPACITY as u64 {
        let item = [n, 0, 0, 0];
        array.force_push(item);
        ring.lock().expect("not poisoned").push_back(item);
        _ = async_tx.try_send(item);
        _ = broadcast_tx.send(item);
        _ = over_tx.try_broadcast(item);
        _ = newest.push(item);
        _ = tokio_tx.try_send(item);
    }
    vec![
        single(OLDEST, "ArrayQueue::force_push (sync)", move |item| {
            black_box(array.force_push(item));
        }),
        single(OLDEST, "Mutex<VecDeque> (sync)", move |item| {
            let mut ring = ring.lock().expect("not poisoned");
            black_box(ring.pop_front());
            ring.push_back(item);
        }),
        single(OLDEST, "async-channel force_send", move |item| {
            _ = black_box(async_tx.force_send(item));
            _ = &async_rx;
        }),
        single(OLDEST, "tokio broadcast", move |item| {
            _ = black_box(broadcast_tx.send(item));
            _ = &broadcast_rx;
        }),
        single(OLDEST, "async-broadcast overflow", move |item| {
            _ = black_box(over_tx.try_broadcast(item));
            _ = &over_rx;
        }),
        single(NEWEST, "ArrayQueue (sync)", move |item| {
            _ = black_box(newest.push(item));
        }),
        single(NEWEST, "tokio mpsc", move |item| {
            _ = black_box(tokio_tx.try_send(item));
            _ = &tokio_rx;
        }),
    ]
}
