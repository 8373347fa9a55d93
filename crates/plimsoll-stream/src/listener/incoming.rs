//! The connections of a listener as a stream.

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::serve::Listener;
use futures_core::Stream;
use tokio::net::TcpStream;

use super::{io::ClientIo, tcp::BackpressureListener};

type Accept<L> = Pin<Box<dyn Future<Output = (BackpressureListener<L>, ClientIo)> + Send>>;

/// The connections of a [`BackpressureListener`] as a [`Stream`] that never ends, for tonic's
/// `serve_with_incoming`.
///
/// Items are always `Ok`: the inner listener retries after errors. Dropping it closes the listener.
/// One allocation per connection.
pub struct Incoming<L> {
    accept: Accept<L>,
}

impl<L: Listener<Io = TcpStream>> BackpressureListener<L> {
    /// Returns the connections as a stream, for tonic's `serve_with_incoming`.
    pub fn incoming(self) -> Incoming<L> {
        Incoming {
            accept: accept(self),
        }
    }
}

fn accept<L: Listener<Io = TcpStream>>(mut listener: BackpressureListener<L>) -> Accept<L> {
    Box::pin(async move {
        let (io, _) = listener.accept().await;
        (listener, io)
    })
}

impl<L: Listener<Io = TcpStream>> Stream for Incoming<L> {
    type Item = io::Result<ClientIo>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let (listener, io) = ready!(self.accept.as_mut().poll(cx));
        self.accept = accept(listener);
        Poll::Ready(Some(Ok(io)))
    }
}

impl<L> fmt::Debug for Incoming<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming").finish_non_exhaustive()
    }
}
