//! The frames of a body that were sent, shared by the attempts that send them.

use std::{
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use plimsoll_core::protocol::BoxError;

/// A body that is recorded while it is sent.
pub(super) struct Record<B> {
    shared: Arc<Mutex<Shared<B>>>,
}

struct Shared<B> {
    source: B,
    /// What was sent, or nothing after more than `room` bytes.
    frames: Vec<Bytes>,
    trailers: Option<HeaderMap>,
    /// Bytes that may still be recorded. `None`: too much was sent, and the body cannot be sent again.
    room: Option<usize>,
    /// The source has ended without an error.
    complete: bool,
    failed: bool,
    /// Incremented for each attempt. Only the latest attempt of an incomplete body may read the source.
    attempt: u32,
    /// The latest attempt's.
    waker: Option<Waker>,
}

/// The body of one attempt.
pub(super) struct Attempt<B> {
    shared: Arc<Mutex<Shared<B>>>,
    number: u32,
    next: usize,
    over: bool,
}

/// The error of an attempt's body after a later attempt has taken its place.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("a later attempt sends this body")]
struct Superseded;

impl<B: Body> Record<B> {
    pub(super) fn new(body: B, limit: usize) -> Self {
        Self {
            shared: Arc::new(Mutex::new(Shared {
                source: body,
                frames: Vec::new(),
                trailers: None,
                room: Some(limit),
                complete: false,
                failed: false,
                attempt: 0,
                waker: None,
            })),
        }
    }

    /// Ends the attempt that is still sending with an error. Returns whether all that was sent is
    /// recorded.
    pub(super) fn stop(&self) -> bool {
        let mut shared = lock(&self.shared);
        let sending = shared.stop();
        let is_possible = shared.is_possible();
        drop(shared);
        if let Some(waker) = sending {
            waker.wake();
        }
        is_possible
    }

    pub(super) fn is_complete(&self) -> bool {
        let shared = lock(&self.shared);
        shared.complete && shared.room.is_some()
    }

    /// Starts an attempt. The one before, if it is still sending, ends with an error. `None` when not
    /// all that was sent is recorded.
    pub(super) fn attempt(&self) -> Option<Attempt<B>> {
        let possible = self.stop();
        let number = lock(&self.shared).attempt;
        possible.then(|| Attempt {
            shared: Arc::clone(&self.shared),
            number,
            next: 0,
            over: false,
        })
    }
}

impl<B> Shared<B> {
    fn stop(&mut self) -> Option<Waker> {
        self.attempt += 1;
        self.waker.take()
    }

    fn is_possible(&self) -> bool {
        self.room.is_some() && !self.failed
    }
}

impl<B> Attempt<B>
where
    B: Body + Unpin,
    B::Error: Into<BoxError>,
{
    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.over {
            return Poll::Ready(None);
        }
        let mut shared = lock(&self.shared);
        if let Some(frame) = shared.frames.get(self.next) {
            self.next += 1;
            return Poll::Ready(Some(Ok(Frame::data(frame.clone()))));
        }
        if shared.complete && shared.room.is_some() {
            self.over = true;
            let trailers = shared.trailers.clone();
            return Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))));
        }
        if shared.attempt != self.number {
            self.over = true;
            return Poll::Ready(Some(Err(Superseded.into())));
        }
        match shared.poll_source(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                self.next += 1;
                self.over = frame.is_trailers();
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(end) => {
                self.over = true;
                Poll::Ready(end)
            }
            Poll::Pending => Poll::Pending,
        }
    }

    pub(super) fn is_end_stream(&self) -> bool {
        let shared = lock(&self.shared);
        let sent = self.next >= shared.frames.len();
        self.over
            || (sent
                && shared.trailers.is_none()
                && (shared.complete || shared.source.is_end_stream()))
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        let shared = lock(&self.shared);
        let recorded = shared.frames.iter().skip(self.next);
        let recorded: u64 = recorded.map(|frame| frame.len() as u64).sum();
        if shared.complete {
            return SizeHint::with_exact(recorded);
        }
        let rest = shared.source.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(recorded));
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(recorded));
        }
        hint
    }
}

impl<B> Shared<B>
where
    B: Body + Unpin,
    B::Error: Into<BoxError>,
{
    /// Reads the next frame, and records it if there is room.
    fn poll_source(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = match Pin::new(&mut self.source).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => frame,
            Poll::Ready(Some(Err(error))) => {
                self.failed = true;
                return Poll::Ready(Some(Err(error.into())));
            }
            Poll::Ready(None) => {
                self.complete = true;
                return Poll::Ready(None);
            }
            Poll::Pending => {
                self.waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
        };
        // For `Bytes` this copies nothing.
        let frame = frame.map_data(|mut data| data.copy_to_bytes(data.remaining()));
        if let Some(data) = frame.data_ref() {
            self.keep(data);
        } else {
            self.trailers = frame.trailers_ref().cloned();
            self.complete = true;
        }
        if self.source.is_end_stream() {
            self.complete = true;
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn keep(&mut self, data: &Bytes) {
        self.room = self.room.and_then(|room| room.checked_sub(data.len()));
        if self.room.is_some() {
            self.frames.push(data.clone());
        } else {
            self.frames = Vec::new();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<B> fmt::Debug for Record<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Record")
    }
}

impl<B> fmt::Debug for Attempt<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}
