//! The handshake of a WebSocket, as an extractor.

use axum::extract::{
    FromRequestParts,
    ws::{WebSocketUpgrade, rejection::WebSocketUpgradeRejection},
};
use http::{Request, request::Parts};

/// A request for a WebSocket: axum's [`WebSocketUpgrade`] and the head of the request.
///
/// The extractor fails as axum's does, when the request is not a valid handshake. Pass it to
/// [`WebSockets::accept`](super::WebSockets::accept).
#[derive(Debug)]
#[must_use = "a handshake does nothing until it is accepted"]
pub struct Handshake {
    pub(super) upgrade: WebSocketUpgrade,
    /// What a rejection depends on.
    pub(super) head: Request<()>,
}

impl Handshake {
    /// Changes the upgrade, for example to select a protocol:
    /// `handshake.map(|upgrade| upgrade.protocols(["v1"]))`.
    ///
    /// Sizes of buffers and messages that are set here are replaced by the
    /// [limits](super::WebSocketLimits).
    pub fn map(mut self, change: impl FnOnce(WebSocketUpgrade) -> WebSocketUpgrade) -> Self {
        self.upgrade = change(self.upgrade);
        self
    }

    /// Returns the upgrade, to read the requested protocols.
    pub fn upgrade(&self) -> &WebSocketUpgrade {
        &self.upgrade
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Handshake {
    type Rejection = WebSocketUpgradeRejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let upgrade = WebSocketUpgrade::from_request_parts(parts, state).await?;
        let mut head = Request::new(());
        *head.method_mut() = parts.method.clone();
        *head.uri_mut() = parts.uri.clone();
        *head.headers_mut() = parts.headers.clone();
        Ok(Self { upgrade, head })
    }
}
