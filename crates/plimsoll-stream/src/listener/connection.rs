//! The figures of one connection.

use std::{
    fmt,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{net::TcpStream, time::Instant};

use super::{counters::Totals, kernel, unsent::Unsent};
use crate::clock;

/// Reads the figures of one connection; clones share it.
///
/// It does not keep the connection open. Handlers get it as
/// [`ConnectInfo<Connection>`](axum::extract::ConnectInfo):
///
/// ```no_run
/// use axum::{Router, extract::ConnectInfo, routing::get};
/// use plimsoll_stream::listener::{BackpressureListener, Connection};
/// use tokio::net::TcpListener;
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// async fn lag(ConnectInfo(connection): ConnectInfo<Connection>) -> String {
///     format!("{:?} unsent, blocked for {:?}", connection.unsent(), connection.blocked_for())
/// }
/// let app = Router::new().route("/lag", get(lag));
/// let listener = BackpressureListener::new(TcpListener::bind("0.0.0.0:3000").await?);
/// axum::serve(listener, app.into_make_service_with_connect_info::<Connection>()).await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Connection(Arc<State>);

struct State {
    /// This end and the other; `None` when the peer left before it was accepted.
    ends: Option<(SocketAddr, SocketAddr)>,
    opened: Instant,
    written: AtomicU64,
    read: AtomicU64,
    /// Nanoseconds from `opened` to the first blocked write, at least 1. 0: not blocked.
    blocked_since: AtomicU64,
    totals: Arc<Totals>,
}

impl Connection {
    pub(super) fn new(stream: &TcpStream, totals: Arc<Totals>) -> Self {
        let ends = stream.local_addr().ok().zip(stream.peer_addr().ok());
        totals.opened(ends.map(|(local, _)| local.port()));
        Self(Arc::new(State {
            ends,
            opened: clock::now(),
            written: AtomicU64::new(0),
            read: AtomicU64::new(0),
            blocked_since: AtomicU64::new(0),
            totals,
        }))
    }

    /// Returns the address of the client, if the connection was still open when it was accepted.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.0.ends.map(|(_, peer)| peer)
    }

    /// Returns the bytes that the kernel accepted from the server, sent or not.
    pub fn written(&self) -> u64 {
        self.0.written.load(Relaxed)
    }

    /// Returns the bytes that the server has read.
    pub fn read(&self) -> u64 {
        self.0.read.load(Relaxed)
    }

    /// Returns for how long the current write has been blocked; `None` when no write is blocked.
    pub fn blocked_for(&self) -> Option<Duration> {
        let since = self.0.blocked_since.load(Relaxed);
        let now = self.0.opened.elapsed();
        (since != 0).then(|| now.saturating_sub(Duration::from_nanos(since)))
    }

    /// Asks the kernel what it holds for the client. `None` on systems other than Linux, and when
    /// the connection is closed.
    ///
    /// Two system calls of a few microseconds, without waiting. It works while the server is
    /// blocked, from any task.
    pub fn unsent(&self) -> Option<Unsent> {
        let (local, peer) = self.0.ends?;
        kernel::unsent(local, peer)
    }

    pub(super) fn totals(&self) -> &Totals {
        &self.0.totals
    }

    pub(super) fn add_read(&self, bytes: usize) {
        self.0.read.fetch_add(bytes as u64, Relaxed);
        self.0.totals.read.fetch_add(bytes as u64, Relaxed);
    }

    pub(super) fn add_written(&self, bytes: usize) {
        self.0.written.fetch_add(bytes as u64, Relaxed);
        self.0.totals.written.fetch_add(bytes as u64, Relaxed);
    }

    /// Marks the connection as blocked, from now on, unless it is.
    pub(super) fn block(&self) {
        if self.0.blocked_since.load(Relaxed) == 0 {
            let since = u64::try_from(self.0.opened.elapsed().as_nanos()).unwrap_or(u64::MAX);
            self.0.blocked_since.store(since.max(1), Relaxed);
            self.0.totals.block();
        }
    }

    pub(super) fn is_blocked(&self) -> bool {
        self.0.blocked_since.load(Relaxed) != 0
    }

    /// Marks the connection as not blocked.
    pub(super) fn unblock(&self) {
        if self.0.blocked_since.swap(0, Relaxed) != 0 {
            self.0.totals.unblock();
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("peer_addr", &self.peer_addr())
            .field("written", &self.written())
            .field("read", &self.read())
            .field("blocked_for", &self.blocked_for())
            .finish_non_exhaustive()
    }
}
