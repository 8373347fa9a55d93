//! The listener.

use std::{io, sync::Arc};

use axum::serve::Listener;
use tokio::net::TcpStream;

use super::{counters::Totals, handle::BackpressureHandle, io::ClientIo};

/// A listener whose sockets report a slow client early, for [`axum::serve()`] and tonic.
///
/// See the [module](super) for the settings, an example and its composition with other listeners.
///
/// A cancelled accept loses no connection that the inner listener does not lose. The inner listener
/// handles errors: axum's own listeners retry, at once when the connection failed, and after one
/// second when the system failed, as when file descriptors run out.
#[doc(alias("TCP_NOTSENT_LOWAT", "TCP_USER_TIMEOUT", "slow client"))]
#[derive(Debug)]
pub struct BackpressureListener<L> {
    listener: L,
    totals: Arc<Totals>,
}

impl<L> BackpressureListener<L> {
    pub(super) fn with(listener: L, totals: Arc<Totals>) -> Self {
        Self { listener, totals }
    }

    /// Returns a handle that reads counters and gauges.
    pub fn handle(&self) -> BackpressureHandle {
        BackpressureHandle::new(Arc::clone(&self.totals))
    }

    /// Returns the inner listener.
    pub fn get_ref(&self) -> &L {
        &self.listener
    }

    /// Applies the settings to a stream that was accepted elsewhere.
    pub fn wrap(&self, stream: TcpStream) -> ClientIo {
        ClientIo::new(stream, &self.totals)
    }
}

impl<L: Listener<Io = TcpStream>> Listener for BackpressureListener<L> {
    type Io = ClientIo;
    type Addr = L::Addr;

    async fn accept(&mut self) -> (ClientIo, L::Addr) {
        let (stream, addr) = self.listener.accept().await;
        (self.wrap(stream), addr)
    }

    fn local_addr(&self) -> io::Result<L::Addr> {
        self.listener.local_addr()
    }
}
