//! One connection: the tasks that read and write, and the handler.

use std::{future::Future, sync::Arc};

use axum::extract::ws::WebSocket;
use plimsoll_core::Claim;

use super::{
    client::Client, place::Place, reader::read, registry::Registered, shared::Shared,
    socket::Socket, writer::Writer,
};

/// What a connection holds from the handshake to its end.
pub(super) struct Held {
    pub(super) _place: Place,
    /// The permits of gates in front of the handler.
    pub(super) _claim: Claim,
}

/// Runs a connection to its end, in the task that axum spawns for the upgrade.
///
/// Spawns two more tasks: the handler, and the one that reads. This one writes.
pub(super) async fn run<F, Fut>(
    socket: WebSocket,
    shared: Arc<Shared>,
    registered: Registered,
    held: Held,
    handler: F,
) where
    F: FnOnce(Client) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let socket = Arc::new(Socket::new(socket));
    let held = Arc::new(held);
    let client = Client::new(Arc::clone(&shared));
    let handler = tokio::spawn({
        let held = Arc::clone(&held);
        async move {
            handler(client).await;
            drop(held);
        }
    });
    let reader = tokio::spawn(read(Arc::clone(&socket), Arc::clone(&shared)));
    let mut writer = Writer::new(socket, shared, handler);
    let closed = writer.run().await;
    writer.close(closed, reader).await;
    drop((registered, held));
}
