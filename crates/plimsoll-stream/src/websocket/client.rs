//! One client, as its handler sees it.

use std::{ops::Deref, sync::Arc};

use axum::extract::ws::Message;

use super::{sender::ClientSender, shared::Shared};

/// The connection of one client, for its handler.
///
/// It receives the client's messages, and is also the [`ClientSender`] of the client. Dropping it
/// discards further messages of the client; the connection stays open until the handler returns.
#[derive(Debug)]
pub struct Client {
    sender: ClientSender,
}

impl Client {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            sender: ClientSender { shared },
        }
    }

    /// Returns a sender that other tasks may use.
    pub fn sender(&self) -> ClientSender {
        self.sender.clone()
    }

    /// Receives the next text or binary message. `None` at the end of the connection.
    ///
    /// Pings, pongs, close frames and flow messages are handled by the connection. While messages
    /// are not received, at most those of [`inbound`](super::WebSocketLimits::inbound) are kept, and
    /// then reading stops.
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses no message.
    pub async fn recv(&self) -> Option<Message> {
        let shared = &self.sender.shared;
        let message = shared.inbound.recv().await;
        shared.inbound_changed();
        message
    }
}

impl Deref for Client {
    type Target = ClientSender;

    fn deref(&self) -> &ClientSender {
        &self.sender
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let inbound = &self.sender.shared.inbound;
        inbound.close();
        inbound.drain();
        self.sender.shared.inbound_changed();
    }
}
