//! The viewers of a board: at most a number of them, each with the latest update and no other.

use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use bytes::Bytes;
use futures_util::{Stream, stream};
use plimsoll_core::policy::Counter;
use tokio::sync::watch;

/// The highest number of viewers that can be set: 1,000 pages of one board are a mistake.
pub(crate) const MAX_VIEWERS: usize = 1000;

/// The last frame of a viewer that was let go. The page then stops instead of connecting again.
const LET_GO: Bytes = Bytes::from_static(b"event: let-go\ndata: a newer viewer\n\n");
const CLOSED: Bytes = Bytes::from_static(b"event: closed\ndata: the server ends\n\n");
/// The first frame: browsers connect again two seconds after a lost connection.
const RETRY: Bytes = Bytes::from_static(b"retry: 2000\n\n");

/// An update as a frame of server-sent events. Clones share the bytes.
#[derive(Debug, Clone)]
pub(crate) struct Encoded {
    pub(crate) number: u64,
    pub(crate) frame: Bytes,
    pub(crate) json: Bytes,
}

/// The viewers of a board.
#[derive(Debug)]
pub(crate) struct Viewers(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    max: usize,
    seats: Mutex<Seats>,
    let_go: Counter,
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct Seats {
    next: u64,
    taken: VecDeque<(u64, watch::Sender<Encoded>)>,
    closed: bool,
}

impl Viewers {
    pub(crate) fn new(max: usize) -> Self {
        Self(Arc::new(Inner {
            max,
            seats: Mutex::default(),
            let_go: Counter::new(),
            dropped: AtomicU64::new(0),
        }))
    }

    pub(crate) fn max(&self) -> usize {
        self.0.max
    }

    pub(crate) fn count(&self) -> usize {
        self.0.seats().taken.len()
    }

    pub(crate) fn let_go(&self) -> u64 {
        self.0.let_go.get()
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.0.dropped.load(Relaxed)
    }

    /// Adds a viewer, whose frames begin with `first`. Above the bound the oldest viewer is let go:
    /// a page that is loaded again is never rejected.
    pub(crate) fn add(
        &self,
        first: Encoded,
    ) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + use<> {
        let (sender, mut receiver) = watch::channel(first);
        receiver.mark_changed();
        let mut seats = self.0.seats();
        seats.next += 1;
        let id = seats.next;
        // A closed board drops the sender: the stream ends after its first update.
        if !seats.closed {
            seats.taken.push_back((id, sender));
            if seats.taken.len() > self.0.max {
                seats.taken.pop_front();
                self.0.let_go.add();
            }
        }
        drop(seats);
        let viewers = Arc::clone(&self.0);
        let seat = Seat {
            id,
            receiver,
            last: None,
            viewers,
        };
        stream::unfold(Some((seat, RETRY)), |state| async {
            let (mut seat, frame) = state?;
            if !frame.is_empty() {
                return Some((Ok(frame), Some((seat, Bytes::new()))));
            }
            let (frame, more) = seat.next().await;
            Some((Ok(frame), more.then_some((seat, Bytes::new()))))
        })
    }

    /// Replaces the update that each viewer has not received yet.
    pub(crate) fn send(&self, update: &Encoded) {
        for (_, sender) in &self.0.seats().taken {
            sender.send_replace(update.clone());
        }
    }

    /// Ends the streams of all viewers, and of those that come later.
    pub(crate) fn close(&self) {
        let mut seats = self.0.seats();
        seats.closed = true;
        seats.taken.clear();
    }
}

impl Inner {
    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of a viewer; it is released when the connection ends.
struct Seat {
    id: u64,
    receiver: watch::Receiver<Encoded>,
    /// The number of the last update that was taken.
    last: Option<u64>,
    viewers: Arc<Inner>,
}

impl Seat {
    /// The next frame, and whether more can follow.
    async fn next(&mut self) -> (Bytes, bool) {
        if self.receiver.changed().await.is_err() {
            let closed = self.viewers.seats().closed;
            return (if closed { CLOSED } else { LET_GO }, false);
        }
        let update = self.receiver.borrow_and_update().clone();
        if let Some(last) = self.last.replace(update.number) {
            let missed = update.number.saturating_sub(last + 1);
            self.viewers.dropped.fetch_add(missed, Relaxed);
        }
        (update.frame, true)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = self.viewers.seats();
        seats.taken.retain(|(id, _)| *id != self.id);
    }
}
