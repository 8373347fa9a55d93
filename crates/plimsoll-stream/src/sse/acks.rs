//! Connections whose clients acknowledge what they have processed.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Waker},
};

use crate::{
    hub::Cursor,
    sse::trace::{Batch, Delivery, Unacknowledged},
};

/// An acknowledgement was rejected. The connection is as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AckError {
    /// No connection has this id: it has ended, or the id is wrong.
    #[error("no connection has this id")]
    UnknownConnection,
    /// The cursor is of another topic, or of this one before a restart.
    #[error("the cursor is of another topic")]
    OtherTopic,
    /// The event was not sent to this connection.
    #[error("event {seq} was acknowledged, the last that was sent is {sent}")]
    NotSent {
        /// The number of the event.
        seq: u64,
        /// The number of the last event that was sent.
        sent: u64,
    },
}

/// The open connections of a topic: at most as many as it has clients.
#[derive(Debug, Default)]
pub(crate) struct Acks {
    open: Mutex<HashMap<String, Arc<Mutex<Progress>>>>,
    /// Keyed with secrets of the process, so that ids cannot be guessed.
    secrets: (RandomState, RandomState),
    next: AtomicU64,
}

/// How far the client of a connection is.
#[derive(Debug)]
struct Progress {
    acked: u64,
    sent: u64,
    unacknowledged: Unacknowledged,
    /// The connection, when it waits for an acknowledgement.
    waker: Option<Waker>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Acks {
    /// Adds a connection whose client has everything up to `seq`.
    pub(crate) fn open(self: &Arc<Self>, seq: u64, window: u64) -> Acked {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        let (first, second) = (self.secrets.0.hash_one(n), self.secrets.1.hash_one(n));
        let id = format!("{first:016x}{second:016x}");
        let progress = Arc::new(Mutex::new(Progress {
            acked: seq,
            sent: seq,
            unacknowledged: Unacknowledged::default(),
            waker: None,
        }));
        lock(&self.open).insert(id.clone(), Arc::clone(&progress));
        Acked {
            acks: Arc::clone(self),
            id,
            progress,
            window,
        }
    }

    /// Takes an acknowledgement, and returns what it is about. An earlier one, or the same again,
    /// changes nothing.
    pub(crate) fn acknowledge(
        &self,
        id: &str,
        epoch: u64,
        cursor: Cursor,
    ) -> Result<Batch, AckError> {
        let progress = lock(&self.open).get(id).cloned();
        let progress = progress.ok_or(AckError::UnknownConnection)?;
        if cursor.epoch != epoch {
            return Err(AckError::OtherTopic);
        }
        let mut progress = lock(&progress);
        let (seq, sent) = (cursor.seq, progress.sent);
        if seq > sent {
            return Err(AckError::NotSent { seq, sent });
        }
        if seq <= progress.acked {
            return Ok(Batch::default());
        }
        progress.acked = seq;
        let batch = progress.unacknowledged.take(seq);
        let waker = progress.waker.take();
        drop(progress);
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(batch)
    }
}

/// An open connection. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Acked {
    acks: Arc<Acks>,
    pub(crate) id: String,
    progress: Arc<Mutex<Progress>>,
    pub(crate) window: u64,
}

impl Acked {
    /// Whether one more event may be sent. If not, the task is woken by the next acknowledgement.
    pub(crate) fn poll_may_send(&self, cx: &Context<'_>) -> bool {
        let waker = cx.waker().clone();
        let mut progress = lock(&self.progress);
        if progress.sent - progress.acked < self.window {
            return true;
        }
        let before = progress.waker.replace(waker);
        drop(progress);
        drop(before);
        false
    }

    /// Counts an event as sent.
    pub(crate) fn sent(&self, seq: u64, delivery: Delivery) {
        let mut progress = lock(&self.progress);
        progress.sent = seq;
        progress.unacknowledged.sent(seq, delivery);
    }

    /// Moves both ends: numbers in a gap and in front of a reset were not sent.
    pub(crate) fn skip_to(&self, seq: u64) {
        let mut progress = lock(&self.progress);
        let open = progress.sent - progress.acked;
        progress.sent = seq;
        progress.acked = seq.saturating_sub(open);
    }
}

impl Drop for Acked {
    fn drop(&mut self) {
        lock(&self.acks.open).remove(&self.id);
    }
}
