//! What can be read of all connections.

use std::{
    fmt,
    sync::atomic::Ordering::{Relaxed, SeqCst},
    time::Duration,
};

use plimsoll_core::LoadSignal;

use super::{reason::CloseReason, sockets::WebSockets};
use crate::DropReason;
#[cfg(feature = "metrics")]
use crate::QueuePolicy;

impl WebSockets {
    /// Returns the open connections: their socket is not closed, or their handler runs.
    pub fn open(&self) -> usize {
        self.inner.places.open()
    }

    /// Returns the handshakes that were accepted.
    pub fn accepted(&self) -> u64 {
        self.inner.totals.accepted.get()
    }

    /// Returns the handshakes that were rejected with a 503.
    pub fn rejected(&self) -> u64 {
        self.inner.totals.rejected.get()
    }

    /// Returns the messages that clients sent, without control and flow messages.
    pub fn messages_in(&self) -> u64 {
        self.inner.totals.messages_in.get()
    }

    /// Returns the messages that were handed to the sockets of clients, without control and flow
    /// messages. Each sent message is counted here, as dropped, or as
    /// [undelivered](Self::undelivered).
    pub fn messages_out(&self) -> u64 {
        self.inner.totals.messages_out.get()
    }

    /// Returns the weight of the messages that clients sent, in bytes.
    pub fn bytes_in(&self) -> u64 {
        self.inner.totals.bytes_in.load(Relaxed)
    }

    /// Returns the weight of the messages that were handed to the sockets of clients, in bytes.
    pub fn bytes_out(&self) -> u64 {
        self.inner.totals.bytes_out.load(Relaxed)
    }

    /// Returns the messages that the queues of clients lost for this reason.
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.inner.totals.dropped(reason)
    }

    /// Returns the messages that were queued when their connection ended.
    pub fn undelivered(&self) -> u64 {
        self.inner.totals.undelivered.load(Relaxed)
    }

    /// Returns the connections that were closed for this reason.
    pub fn closed(&self, reason: CloseReason) -> u64 {
        self.inner.totals.closed(reason)
    }

    /// Returns how often clients were asked to pause.
    pub fn pauses_sent(&self) -> u64 {
        self.inner.totals.pauses_sent.get()
    }

    /// Returns how often clients asked for a pause.
    pub fn pauses_received(&self) -> u64 {
        self.inner.totals.pauses_received.get()
    }

    /// Returns the clients that have asked for a pause, and not for its end.
    pub fn paused(&self) -> usize {
        self.inner.totals.paused.load(SeqCst)
    }

    /// Returns the time for which clients have paused, without pauses that last.
    pub fn paused_time(&self) -> Duration {
        self.inner.totals.paused_time()
    }

    /// Returns the highest fill level of the queues of all clients, 0 to 1: 0 without clients.
    ///
    /// For metrics and alarms: it looks at each client.
    pub fn buffer_utilization(&self) -> f64 {
        let clients = self.inner.registry.clients();
        let loads = clients.iter().map(|client| client.outbound.load());
        loads.fold(0.0, f64::max)
    }

    /// The policy of the queue of a new client.
    #[cfg(feature = "metrics")]
    pub(crate) fn policy(&self) -> QueuePolicy {
        self.inner.limits.policy
    }

    /// Returns the gaps in the sequence numbers of clients.
    pub fn gaps(&self) -> u64 {
        self.inner.totals.gaps.get()
    }
}

/// Open connections divided by the limit: 1 when no more are accepted.
impl LoadSignal for WebSockets {
    fn load(&self) -> f64 {
        self.open() as f64 / self.inner.places.limit() as f64
    }
}

impl fmt::Debug for WebSockets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSockets")
            .field("open", &self.open())
            .field("limits", &self.inner.limits)
            .finish_non_exhaustive()
    }
}
