//! The IO of one connection, with a deadline for writes.

use std::{
    io::{self, ErrorKind, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep},
};

use super::{
    connection::Connection,
    counters::{SlowDisconnect, Totals},
    options::discard_on_close,
};
use crate::clock;

/// The IO of a connection that a [`BackpressureListener`](super::BackpressureListener) accepted.
///
/// A write that is blocked for the write deadline fails with [`ErrorKind::TimedOut`], and so do all
/// later ones. Dropping it closes the connection; while a write is blocked it resets the connection,
/// so that the kernel does not keep data for a client that does not read.
#[derive(Debug)]
pub struct ClientIo {
    stream: TcpStream,
    connection: Connection,
    /// Allocated when a write blocks for the first time.
    timer: Option<Pin<Box<Sleep>>>,
    timer_runs: bool,
    timed_out: bool,
    /// Whether a slow disconnect of this connection was counted.
    counted: bool,
}

impl ClientIo {
    pub(super) fn new(stream: TcpStream, totals: &Arc<Totals>) -> Self {
        let connection = Connection::new(&stream, Arc::clone(totals));
        if totals.options.apply(&stream).is_err() {
            totals.option_errors.add();
        }
        Self {
            stream,
            connection,
            timer: None,
            timer_runs: false,
            timed_out: false,
            counted: false,
        }
    }

    /// Returns the figures of the connection.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Returns the socket.
    pub fn get_ref(&self) -> &TcpStream {
        &self.stream
    }

    /// Counts what was written, and fails a write that was blocked for too long.
    fn wrote(
        &mut self,
        polled: Poll<io::Result<usize>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        match polled {
            Poll::Ready(Ok(written)) => {
                self.timer_runs = false;
                self.connection.unblock();
                self.connection.add_written(written);
                Poll::Ready(Ok(written))
            }
            Poll::Ready(Err(error)) => {
                self.note(&error);
                Poll::Ready(Err(error))
            }
            Poll::Pending => self.blocked(cx),
        }
    }

    fn blocked<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        self.connection.block();
        let Some(deadline) = self.connection.totals().write_deadline else {
            return Poll::Pending;
        };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(deadline)));
        if !self.timer_runs {
            timer.as_mut().reset(clock::now() + deadline);
            self.timer_runs = true;
        }
        // Registers the waker, beside the one that the socket has registered.
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(self.time_out()))
    }

    #[cold]
    fn time_out(&mut self) -> io::Error {
        self.timed_out = true;
        self.count(SlowDisconnect::WriteDeadline);
        discard_on_close(&self.stream);
        deadline_passed()
    }

    /// Counts an error of the kernel that means that the peer is slow or gone.
    #[cold]
    fn note(&mut self, error: &io::Error) {
        // After an ICMP error the kernel reports that instead of its timeout.
        if matches!(
            error.kind(),
            ErrorKind::TimedOut | ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable
        ) {
            self.count(SlowDisconnect::PeerTimeout);
        }
    }

    fn count(&mut self, reason: SlowDisconnect) {
        if !self.counted {
            self.counted = true;
            self.connection.totals().slow(reason).add();
        }
    }
}

fn deadline_passed() -> io::Error {
    io::Error::new(
        ErrorKind::TimedOut,
        "the client did not read for the write deadline",
    )
}

impl AsyncRead for ClientIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(cx, buf);
        match &polled {
            Poll::Ready(Ok(())) => this.connection.add_read(buf.filled().len() - before),
            Poll::Ready(Err(error)) => this.note(error),
            Poll::Pending => {}
        }
        polled
    }
}

impl AsyncWrite for ClientIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.timed_out {
            return Poll::Ready(Err(deadline_passed()));
        }
        let polled = Pin::new(&mut this.stream).poll_write(cx, buf);
        this.wrote(polled, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.timed_out {
            return Poll::Ready(Err(deadline_passed()));
        }
        let polled = Pin::new(&mut this.stream).poll_write_vectored(cx, bufs);
        this.wrote(polled, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A TCP stream has no buffer of its own, so a flush is always ready.
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Drop for ClientIo {
    fn drop(&mut self) {
        if self.connection.is_blocked() {
            discard_on_close(&self.stream);
        }
        self.connection.unblock();
        self.connection.totals().closed();
    }
}
