//! The queue and its peers.

use std::sync::Arc;

use plimsoll_stream::{BoundedQueue, CloseOnDrop, QueuePolicy};

use crate::channel::{BATCH, Channel, Item, Rx, Tx, channel};

/// A queue that ends with its last producer, as the channels do.
#[derive(Clone)]
pub(crate) struct Producer {
    pub(crate) queue: BoundedQueue<Item>,
    _guard: Arc<CloseOnDrop<Item>>,
}

fn queue(capacity: usize) -> (Producer, BoundedQueue<Item>) {
    let queue = BoundedQueue::new(capacity, QueuePolicy::BLOCK).expect("a valid queue");
    let producer = Producer {
        queue: queue.clone(),
        _guard: Arc::new(CloseOnDrop::new(queue.clone())),
    };
    (producer, queue)
}

channel!(
    plimsoll,
    "plimsoll",
    (
        crate::contenders::Producer,
        plimsoll_stream::BoundedQueue<Item>
    ),
    |capacity| super::queue(capacity),
    |tx, item| tx.queue.send(item),
    |rx| rx.recv().await
);
channel!(
    plimsoll_many,
    "plimsoll, recv_many",
    (
        crate::contenders::Producer,
        plimsoll_stream::BoundedQueue<Item>
    ),
    |capacity| super::queue(capacity),
    |tx, item| tx.queue.send(item),
    |rx| rx.recv().await,
    |rx, batch| rx.recv_many(batch, super::BATCH).await
);
channel!(
    tokio_mpsc,
    "tokio mpsc",
    (
        tokio::sync::mpsc::Sender<Item>,
        tokio::sync::mpsc::Receiver<Item>
    ),
    |capacity| tokio::sync::mpsc::channel(capacity),
    |tx, item| tx.send(item),
    |rx| rx.recv().await
);
channel!(
    tokio_many,
    "tokio mpsc, recv_many",
    (
        tokio::sync::mpsc::Sender<Item>,
        tokio::sync::mpsc::Receiver<Item>
    ),
    |capacity| tokio::sync::mpsc::channel(capacity),
    |tx, item| tx.send(item),
    |rx| rx.recv().await,
    |rx, batch| rx.recv_many(batch, super::BATCH).await
);
channel!(
    async_channels,
    "async-channel",
    (async_channel::Sender<Item>, async_channel::Receiver<Item>),
    |capacity| async_channel::bounded(capacity),
    |tx, item| tx.send(item),
    |rx| rx.recv().await.ok()
);
channel!(
    flumes,
    "flume",
    (flume::Sender<Item>, flume::Receiver<Item>),
    |capacity| flume::bounded(capacity),
    |tx, item| tx.send_async(item),
    |rx| rx.recv_async().await.ok()
);
channel!(
    kanals,
    "kanal",
    (kanal::AsyncSender<Item>, kanal::AsyncReceiver<Item>),
    |capacity| kanal::bounded_async(capacity),
    |tx, item| tx.send(item),
    |rx| rx.recv().await.ok()
);
channel!(
    crossfire_mpmc,
    "crossfire mpmc",
    (
        crossfire::MAsyncTx<crossfire::mpmc::Array<Item>>,
        crossfire::MAsyncRx<crossfire::mpmc::Array<Item>>
    ),
    |capacity| crossfire::mpmc::bounded_async(capacity),
    |tx, item| tx.send(item),
    |rx| rx.recv().await.ok()
);
channel!(
    crossfire_mpsc,
    "crossfire mpsc",
    (
        crossfire::MAsyncTx<crossfire::mpsc::Array<Item>>,
        crossfire::AsyncRx<crossfire::mpsc::Array<Item>>
    ),
    |capacity| crossfire::mpsc::bounded_async(capacity),
    |tx, item| tx.send(item),
    |rx| rx.recv().await.ok()
);
channel!(
    async_broadcasts,
    "async-broadcast",
    (
        async_broadcast::Sender<Item>,
        async_broadcast::Receiver<Item>
    ),
    |capacity| async_broadcast::broadcast(capacity),
    |tx, item| tx.broadcast_direct(item),
    |rx| rx.recv_direct().await.ok()
);
channel!(
    rapidfire_mpmc,
    "rapidfire mpmc",
    (rapidfire::Sender<Item>, rapidfire::Receiver<Item>),
    |capacity| rapidfire::bounded(capacity),
    |tx, item| tx.send(item),
    |rx| rx.recv().await.ok()
);
channel!(
    rapidfire_mpsc,
    "rapidfire mpsc",
    (
        rapidfire::mpsc::Sender<Item>,
        rapidfire::mpsc::Receiver<Item>
    ),
    |capacity| rapidfire::mpsc::bounded(capacity),
    |tx, item| tx.send(item),
    |rx| rx.recv().await.ok()
);
channel!(
    rapidfire_many,
    "rapidfire mpsc, recv_many",
    (
        rapidfire::mpsc::Sender<Item>,
        rapidfire::mpsc::Receiver<Item>
    ),
    |capacity| rapidfire::mpsc::bounded(capacity),
    |tx, item| tx.send(item),
    |rx| rx.recv().await.ok(),
    |rx, batch| rx.recv_many(batch, super::BATCH).await.unwrap_or(0)
);

/// Calls a generic function with each contender, in the order of the table.
macro_rules! each_channel {
    ($with:ident) => {
        [
            $with::<crate::contenders::plimsoll::Contender>(),
            $with::<crate::contenders::plimsoll_many::Contender>(),
            $with::<crate::contenders::tokio_mpsc::Contender>(),
            $with::<crate::contenders::tokio_many::Contender>(),
            $with::<crate::contenders::async_channels::Contender>(),
            $with::<crate::contenders::flumes::Contender>(),
            $with::<crate::contenders::kanals::Contender>(),
            $with::<crate::contenders::crossfire_mpmc::Contender>(),
            $with::<crate::contenders::crossfire_mpsc::Contender>(),
            $with::<crate::contenders::async_broadcasts::Contender>(),
            $with::<crate::contenders::rapidfire_mpmc::Contender>(),
            $with::<crate::contenders::rapidfire_mpsc::Contender>(),
            $with::<crate::contenders::rapidfire_many::Contender>(),
        ]
    };
}
pub(crate) use each_channel;
