//! Items per second through a channel on two workers, and what a cancellation loses.

use std::{collections::HashMap, time::Duration, time::Instant};

use tokio::{
    runtime::{Builder, Runtime},
    task::yield_now,
    time::timeout,
};

use crate::channel::{Channel, Rx, Tx};

/// Items that fit.
const CAPACITY: usize = 1024;
/// Items that fit in the cancellation probe, whose senders wait.
const SMALL: usize = 4;
/// A channel that hangs after a cancellation ends the probe; what has not arrived counts as lost.
const HANGS: Duration = Duration::from_secs(20);

/// A contender of the async cases.
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) run: fn(producers: u64, each: u64) -> Result<Duration, String>,
    pub(crate) cancel: fn(items: u64) -> Cancelled,
}

/// What went wrong while sends and receives were cancelled and tried again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Cancelled {
    pub(crate) lost: u64,
    pub(crate) duplicated: u64,
}

pub(crate) fn contender<C: Channel>() -> Contender {
    Contender {
        name: C::NAME,
        run: run::<C>,
        cancel: cancel::<C>,
    }
}

fn runtime() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_time().build();
    runtime.expect("a runtime with two workers")
}

fn run<C: Channel>(producers: u64, each: u64) -> Result<Duration, String> {
    let runtime = runtime();
    let (tx, rx) = C::open(CAPACITY);
    let start = Instant::now();
    let consumer = runtime.spawn(rx.count());
    for producer in 0..producers {
        let mut tx = tx.clone();
        runtime.spawn(async move {
            for n in 0..each {
                tx.send([producer, n, 0, 0]).await;
            }
        });
    }
    drop(tx);
    let count = runtime
        .block_on(consumer)
        .map_err(|error| error.to_string())?;
    let took = start.elapsed();
    if count == producers * each {
        Ok(took)
    } else {
        Err(format!(
            "{}: received {count} of {}",
            C::NAME,
            producers * each
        ))
    }
}

/// Races each send and each receive against a yield, drops the loser, and tries again.
///
/// Without `biased`: a future that was granted its item is then often dropped without a poll.
fn cancel<C: Channel>(items: u64) -> Cancelled {
    let runtime = runtime();
    let (mut tx, mut rx) = C::open(SMALL);
    runtime.spawn(async move {
        for n in 0..items {
            loop {
                tokio::select! {
                    () = tx.send([n, 0, 0, 0]) => break,
                    () = yield_now() => {}
                }
            }
        }
    });
    let consumer = runtime.spawn(async move {
        let mut seen = HashMap::<u64, u64>::new();
        let all = async {
            loop {
                tokio::select! {
                    item = rx.recv() => match item {
                        Some(item) => *seen.entry(item[0]).or_default() += 1,
                        None => break,
                    },
                    () = yield_now() => {}
                }
            }
        };
        _ = timeout(HANGS, all).await;
        seen
    });
    // Waits outside of the runtime: a peer may block its worker for good, which no timer of the runtime
    // ends. All items then count as lost.
    let (done, result) = std::sync::mpsc::channel();
    runtime.spawn(async move {
        _ = done.send(consumer.await.unwrap_or_default());
    });
    let seen = result.recv_timeout(2 * HANGS).unwrap_or_default();
    // A sender that hangs is not waited for.
    runtime.shutdown_background();
    Cancelled {
        lost: items - seen.len() as u64,
        duplicated: seen.values().map(|count| count - 1).sum(),
    }
}
