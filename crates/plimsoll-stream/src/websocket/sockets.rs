//! All WebSocket connections with the same limits.

use std::{future::Future, sync::Arc};

use axum::{
    extract::ws::CloseFrame,
    response::{IntoResponse as _, Response},
};
use http::StatusCode;
use plimsoll_core::{Handover, Kind, Rejection};

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
use crate::reject::respond;

/// Room in tungstenite's write buffer beside the messages, in bytes: answers to pings.
const CONTROL_SLACK: usize = 16 * 1024;

/// Accepts WebSocket connections under common [limits](WebSocketLimits), and counts over all of
/// them. Clones share it.
///
/// See the [module](super) for an example.
#[derive(Clone)]
pub struct WebSockets {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) limits: Arc<WebSocketLimits>,
    pub(super) totals: Arc<Totals>,
    pub(super) places: Arc<Places>,
    pub(super) registry: Arc<Registry>,
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
}
