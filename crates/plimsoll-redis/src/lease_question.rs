//! A question of a lease, and the distribution of its answer.

use std::sync::Arc;

use tokio::{sync::oneshot, time::Instant};

use crate::{answer::Answer, lease::Lease, script::Reply};

/// A question of a lease, or of one of its requests.
#[derive(Debug)]
pub(crate) struct LeaseQuestion {
    pub(crate) lease: Arc<Lease>,
    pub(crate) generation: u64,
    /// Whether it fetches a batch. No other question does until this one is dropped.
    pub(crate) fills: bool,
    /// A request that waits for its share of the answer.
    pub(crate) request: Option<(u32, oneshot::Sender<Answer>)>,
}

impl LeaseQuestion {
    /// Distributes what Redis granted: first to the waiting request, the rest to the lease. Returns
    /// what neither took.
    pub(crate) fn answer(mut self, answer: Answer) -> Option<(u32, u64)> {
        let now = Instant::now();
        let request = self.request.take();
        let cost = request.as_ref().map_or(0, |(cost, _)| *cost);
        if let Ok(reply) = &answer {
            self.lease.apply(reply, self.generation, now, cost <= 1);
        }
        let (granted, at) = match answer {
            Ok(Reply::Granted { count, at, .. }) => (count, at),
            _ => (0, 0),
        };
        // Before the request is woken, which may look for more tokens.
        let mut over = self.put(granted.saturating_sub(cost));
        // The request gets its own share: if it was cancelled, only that share is refunded.
        let answer = answer.map(|reply| match reply {
            Reply::Granted { at, left, .. } => Reply::Granted {
                count: cost,
                at,
                left,
            },
            other => other,
        });
        if let Some((cost, sender)) = request
            && let Err(Ok(Reply::Granted { .. })) = sender.send(answer)
        {
            over += self.put(cost);
        }
        (over > 0).then_some((over, at))
    }

    fn put(&self, count: u32) -> u32 {
        match count {
            0 => 0,
            count => self.lease.put(count, self.generation),
        }
    }
}

impl Drop for LeaseQuestion {
    fn drop(&mut self) {
        if self.fills {
            self.lease.filled(self.generation);
        }
    }
}
