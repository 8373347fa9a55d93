//! All WebSocket connections with the same limits.

use std::{
    fmt,
    future::Future,
    sync::{
        Arc,
        atomic::Ordering::{Relaxed, SeqCst},
    },
    time::Duration,
};

use axum::{
    extract::ws::CloseFrame,
    response::{IntoResponse as _, Response},
};
use http::StatusCode;
use plimsoll_core::{Handover, Kind, LoadSignal, Rejection};

use super::{
    client::Client,
    connection::{Held, run},
    counters::Totals,
    handshake::Handshake,
    limits::WebSocketLimits,
    place::{Place, Places},
    reason::{CloseReason, Closed},
    registry::Registry,
    shared::Shared,
};
#[cfg(feature = "metrics")]
use crate::QueuePolicy;
use crate::{DropReason, reject::respond};

/// Room in tungstenite's write buffer beside the messages, in bytes: answers to pings.
const CONTROL_SLACK: usize = 16 * 1024;

/// Accepts WebSocket connections under common [limits](WebSocketLimits), and counts over all of
/// them. Clones share it.
///
/// See the [module](super) for an example.
#[derive(Clone)]
pub struct WebSockets {
    inner: Arc<Inner>,
}

struct Inner {
    limits: Arc<WebSocketLimits>,
    totals: Arc<Totals>,
    places: Arc<Places>,
    registry: Arc<Registry>,
}

impl WebSockets {
    pub(super) fn with(limits: WebSocketLimits, totals: Arc<Totals>) -> Self {
        Self {
            inner: Arc::new(Inner {
                places: Arc::new(Places::new(limits.max_connections)),
                limits: Arc::new(limits),
                totals,
                registry: Arc::default(),
            }),
        }
    }

    /// Answers a handshake: upgrades the connection and calls `handler`, or rejects with 503 and
    /// `retry-after` when the connections are at their limit.
    ///
    /// The connection lives until the handler returns: queued messages are then written, for at
    /// most the write deadline, and the client is closed with code 1000. When the connection ends
    /// first, [`recv`](Client::recv) returns `None` and sends fail; the handler is not aborted. It
    /// counts as a connection until both have ended.
    ///
    /// Permits of [gates](plimsoll_core::Gate) in front of the handler are held for the same time.
    ///
    /// # Panics
    ///
    /// A panic of the handler closes the connection with code 1011.
    pub fn accept<F, Fut>(&self, handshake: Handshake, handler: F) -> Response
    where
        F: FnOnce(Client) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let (limits, totals) = (&self.inner.limits, &self.inner.totals);
        let Some(place) = Places::take(&self.inner.places) else {
            totals.rejected.add();
            let rejection =
                Rejection::new("websocket", Kind::Full).with_retry_after(limits.retry_after);
            return respond(&limits.http, &handshake.head, &rejection);
        };
        let Ok(shared) = Shared::new(Arc::clone(limits), Arc::clone(totals)) else {
            // The settings of the queue were valid before; a closure of the user's differs.
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        };
        totals.accepted.add();
        self.upgrade(handshake, Arc::new(shared), place, handler)
    }

    fn upgrade<F, Fut>(
        &self,
        handshake: Handshake,
        shared: Arc<Shared>,
        place: Place,
        handler: F,
    ) -> Response
    where
        F: FnOnce(Client) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let limits = &self.inner.limits;
        let (handover, claim) = Handover::pair();
        let held = Held {
            _place: place,
            _claim: claim,
        };
        let registry = Arc::clone(&self.inner.registry);
        let mut response = handshake
            .upgrade
            .read_buffer_size(limits.read_buffer)
            .write_buffer_size(limits.write_buffer)
            .max_write_buffer_size(
                (limits.write_buffer + limits.max_bytes).saturating_add(CONTROL_SLACK),
            )
            .max_message_size(limits.max_message_bytes)
            .max_frame_size(limits.max_message_bytes)
            .on_upgrade(move |socket| {
                let registered = Registry::add(&registry, &shared);
                run(socket, shared, registered, held, handler)
            });
        response.extensions_mut().insert(handover);
        response
    }

    /// Closes all open connections with a frame, such as 1001 before a shutdown or 1013 in an
    /// overload. New connections are still accepted.
    pub fn close_all(&self, frame: &CloseFrame) {
        for client in self.inner.registry.clients() {
            client.close(Closed {
                reason: CloseReason::Application,
                frame: Some(frame.clone()),
            });
        }
    }

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
