//! The socket, shared by the tasks that read and write.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use axum::{
    Error,
    extract::ws::{Message, WebSocket},
};
use futures_core::Stream;
use futures_sink::Sink;

/// A WebSocket under a lock. Each poll takes the lock once.
///
/// tungstenite keeps the wakers of reads and writes apart, so each task is woken for its own side.
#[derive(Debug)]
pub(super) struct Socket(Mutex<WebSocket>);

/// A message on its way to the socket.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) message: Message,
    /// Whether it comes from the client's queue.
    pub(super) is_data: bool,
}

impl Outgoing {
    pub(super) fn data(message: Message) -> Self {
        let is_data = true;
        Self { message, is_data }
    }

    /// Pings, close frames and flow messages.
    pub(super) fn control(message: Message) -> Self {
        let is_data = false;
        Self { message, is_data }
    }
}

impl Socket {
    pub(super) fn new(socket: WebSocket) -> Self {
        Self(Mutex::new(socket))
    }

    fn lock(&self) -> MutexGuard<'_, WebSocket> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the next message. Answers to pings and close frames are written on the way, as far as
    /// the socket takes them.
    pub(super) fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Message, Error>>> {
        Pin::new(&mut *self.lock()).poll_next(cx)
    }

    /// Writes the batch and flushes it. Messages that were handed to tungstenite leave the batch,
    /// and those with data are reported to `wrote`.
    ///
    /// Each message is handed over after a flush or into an empty part of the write buffer, under
    /// one lock, so the buffer never exceeds its bound.
    pub(super) fn poll_send(
        &self,
        batch: &mut VecDeque<Outgoing>,
        cx: &mut Context<'_>,
        mut wrote: impl FnMut(&Message),
    ) -> Poll<Result<(), Error>> {
        let mut socket = self.lock();
        let mut socket = Pin::new(&mut *socket);
        ready!(socket.as_mut().poll_flush(cx))?;
        while !batch.is_empty() {
            ready!(socket.as_mut().poll_ready(cx))?;
            if let Some(Outgoing { message, is_data }) = batch.pop_front() {
                if is_data {
                    wrote(&message);
                }
                socket.as_mut().start_send(message)?;
            }
        }
        socket.poll_flush(cx)
    }
}
