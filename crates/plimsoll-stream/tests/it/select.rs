//! Sends and receives in `select!` on two workers, most of them cancelled and tried again.

use std::{collections::HashMap, future::Future, time::Duration};

use plimsoll_stream::{BoundedQueue, CloseOnDrop, QueuePolicy};
use tokio::{task::yield_now, time::timeout};

const ITEMS: u64 = 50_000;
/// Small, so that senders wait.
const CAPACITY: usize = 4;

/// Items that were lost, and deliveries beyond the first.
#[derive(Debug, PartialEq)]
struct Faults {
    lost: u64,
    duplicated: u64,
}

/// Sends all numbers and receives until the end, each call raced against a yield.
async fn probe<S, R>(
    mut send: impl FnMut(u64) -> S + Send + 'static,
    mut recv: impl FnMut() -> R + Send + 'static,
) -> Faults
where
    S: Future<Output = ()> + Send,
    R: Future<Output = Option<u64>> + Send,
{
    let sender = tokio::spawn(async move {
        for n in 0..ITEMS {
            // The branches are polled in a random order, so that futures are also dropped after
            // they were granted and before they are polled again.
            while tokio::select! {
                () = send(n) => false,
                () = yield_now() => true,
            } {}
        }
    });
    let receiver = tokio::spawn(async move {
        let mut seen = HashMap::<u64, u64>::new();
        loop {
            tokio::select! {
                item = recv() => match item {
                    Some(item) => *seen.entry(item).or_default() += 1,
                    None => return seen,
                },
                () = yield_now() => {}
            }
        }
    });
    let limit = Duration::from_secs(60);
    timeout(limit, sender)
        .await
        .expect("no send hangs")
        .unwrap();
    let seen = timeout(limit, receiver)
        .await
        .expect("no receive hangs")
        .unwrap();
    Faults {
        lost: ITEMS - seen.len() as u64,
        duplicated: seen.values().map(|count| count - 1).sum(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_in_select_loses_and_duplicates_nothing() {
    let queue = BoundedQueue::new(CAPACITY, QueuePolicy::BLOCK).unwrap();
    let guard = std::sync::Arc::new(CloseOnDrop::new(queue.clone()));
    let send = move |n| {
        let guard = std::sync::Arc::clone(&guard);
        async move { assert!(guard.send(n).await.is_ok()) }
    };
    let recv = move || {
        let queue = queue.clone();
        async move { queue.recv().await }
    };
    let faults = probe(send, recv).await;
    assert_eq!(
        faults,
        Faults {
            lost: 0,
            duplicated: 0
        }
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn negative_control_the_probe_finds_a_channel_that_loses() {
    let (tx, rx) = kanal::bounded_async::<u64>(CAPACITY);
    let send = move |n| {
        let tx = tx.clone();
        async move { assert!(tx.send(n).await.is_ok()) }
    };
    let recv = move || {
        let rx = rx.clone();
        async move { rx.recv().await.ok() }
    };
    let faults = probe(send, recv).await;
    assert!(faults.lost > 0, "{faults:?}");
}
