//! Carries out the same operations on a queue and on the model.

use std::time::Duration;

use plimsoll_stream::{
    BoundedQueue, BoundedQueueBuilder, Criticality, Fate, Permit, QueuePolicy, SendError, Sent,
};
use proptest::prelude::*;
use tokio::time::advance;

use super::{CAPACITY, Item, MAX_BYTES, Model, Sent2, steps::Step};

fn plain(sent: Result<Sent<Item>, SendError<Item>>) -> Result<Sent2, &'static str> {
    match sent {
        Ok(sent) => {
            assert_eq!(sent.is_queued(), sent.fate != Fate::Dropped);
            let seq = sent.seq;
            let lost = sent.lost.into_iter().collect();
            Ok(Sent2 { seq, lost })
        }
        Err(SendError::Closed(_)) => Err("closed"),
        Err(SendError::Full(_)) => Err("full"),
        Err(SendError::TooLarge { .. }) => Err("too large"),
        Err(_) => Err("other"),
    }
}

/// A future that must be ready at once, if there is something to take.
async fn now<F: Future>(future: F) -> Option<F::Output> {
    tokio::select! {
        biased;
        output = future => Some(output),
        () = std::future::ready(()) => None,
    }
}

/// Settings of a queue whose items have weights, priorities and keys.
pub(super) fn described() -> BoundedQueueBuilder<Item> {
    BoundedQueue::builder(CAPACITY)
        .max_bytes_by(MAX_BYTES, |item: &Item| item.weight)
        .priority(|item| Criticality::ALL[item.level].into())
        .key(|item| item.key)
}

// One arm for each operation.
#[allow(clippy::too_many_lines)]
pub(super) async fn agree(
    mut builder: BoundedQueueBuilder<Item>,
    first: QueuePolicy,
    every: Option<u32>,
    steps: Vec<Step>,
) -> Result<(), TestCaseError> {
    if let Some(every) = every {
        builder = builder.measure_waits(every);
    }
    let queue = builder.policy(first).build().unwrap();
    let mut model = Model {
        policy: first,
        every: every.map(u64::from),
        ..Model::default()
    };
    let mut permits: Vec<Permit<'_, Item>> = Vec::new();
    for (id, step) in (0..).zip(steps) {
        match step {
            Step::Send { weight, level, key } => {
                let item = Item {
                    id,
                    weight,
                    level,
                    key,
                };
                // Full: a send waits, and is cancelled here.
                let sent = now(queue.send(item)).await;
                let sent = sent.map_or(Err("full"), plain);
                let drawn: Vec<_> = sent
                    .iter()
                    .flat_map(|sent| &sent.lost)
                    .map(|lost| lost.0)
                    .collect();
                prop_assert_eq!(model.send(item, &drawn), sent);
            }
            Step::TrySend => {
                let item = Item {
                    id,
                    weight: 0,
                    level: 0,
                    key: 0,
                };
                let sent = plain(queue.try_send(item));
                let drawn: Vec<_> = sent
                    .iter()
                    .flat_map(|sent| &sent.lost)
                    .map(|lost| lost.0)
                    .collect();
                prop_assert_eq!(model.send(item, &drawn), sent);
            }
            Step::Recv => {
                let received = now(queue.recv()).await.flatten();
                prop_assert_eq!(received, model.recv());
            }
            Step::TryRecv => prop_assert_eq!(queue.try_recv(), model.recv()),
            Step::RecvDelivery => {
                let delivery = now(queue.recv_delivery()).await.flatten();
                model.check(delivery)?;
            }
            Step::RecvMany(limit) => {
                let mut batch = Vec::new();
                now(queue.recv_many(&mut batch, limit)).await;
                prop_assert_eq!(batch, model.recv_many(limit));
            }
            Step::Drain => {
                prop_assert_eq!(queue.drain(), model.recv_many(usize::MAX));
            }
            Step::SetPolicy(policy) => {
                queue.set_policy(policy).unwrap();
                model.policy = policy;
                if let QueuePolicy::DropExpired { .. } = policy {
                    let now = model.now;
                    model
                        .queue
                        .iter_mut()
                        .for_each(|queued| queued.at = queued.at.or(Some(now)));
                }
            }
            Step::Advance(seconds) => {
                advance(Duration::from_secs(seconds)).await;
                model.now += seconds;
            }
            Step::Reserve(bytes) => {
                let permit = queue.try_reserve(bytes);
                prop_assert_eq!(permit.is_ok(), !model.closed && model.fits(bytes));
                if let Ok(permit) = permit {
                    permits.push(permit);
                    model.reserved.push(bytes);
                }
            }
            Step::SendReserved(which, weight) if !permits.is_empty() => {
                let at = which.index(permits.len());
                let permit = permits.swap_remove(at);
                let bytes = model.reserved.swap_remove(at);
                let item = Item {
                    id,
                    weight,
                    level: 0,
                    key: (id % 5) as u8,
                };
                let sent = plain(permit.send(item));
                let expected = if weight > bytes {
                    Err("too large")
                } else if model.policy == QueuePolicy::Coalesce && !model.closed {
                    Ok(model.place(item, &[]))
                } else {
                    let seq = model.push(item);
                    Ok(Sent2 {
                        seq,
                        lost: Vec::new(),
                    })
                };
                prop_assert_eq!(sent, expected);
            }
            Step::DropPermit(which) if !permits.is_empty() => {
                let at = which.index(permits.len());
                drop(permits.swap_remove(at));
                model.reserved.swap_remove(at);
            }
            Step::SendReserved(..) | Step::DropPermit(_) => {}
            Step::Close => {
                prop_assert_eq!(queue.close(), !model.closed);
                model.closed = true;
            }
        }
        let counters = queue.counters();
        prop_assert_eq!(counters.sent(), model.sent);
        prop_assert_eq!(counters.received(), model.received);
        prop_assert_eq!(counters.dropped(), model.dropped);
        prop_assert_eq!(counters.expired(), model.expired);
        prop_assert_eq!(queue.len(), model.queue.len());
        prop_assert_eq!(
            queue.bytes() + model.reserved.iter().sum::<usize>(),
            model.bytes()
        );
        let oldest = model.queue.iter().find_map(|queued| queued.at);
        let age = oldest.map(|at| Duration::from_secs(model.now - at));
        prop_assert_eq!(queue.oldest_age(), age);
        let measured = queue.wait_times().map_or(0, |waits| waits.count());
        prop_assert_eq!(measured, model.measured);
        let (lost, queued) = (counters.dropped() + counters.expired(), queue.len() as u64);
        prop_assert_eq!(counters.sent(), counters.received() + lost + queued);
    }
    Ok(())
}

pub(super) fn run<R>(test: impl Future<Output = R>) -> R {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build();
    runtime.unwrap().block_on(test)
}
