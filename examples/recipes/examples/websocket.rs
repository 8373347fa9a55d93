//! WebSocket that holds its slot until the socket closes, with `Handover`.
//!
//! ```sh
//! cargo run -p recipes --example websocket
//! curl -i -N -m 5 --http1.1 -H 'connection: upgrade' -H 'upgrade: websocket' \
//!     -H 'sec-websocket-version: 13' -H 'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==' \
//!     http://127.0.0.1:3000/echo &
//! sleep 1; curl http://127.0.0.1:3000/sockets
//! ```
//!
//! The limit admits two sockets at a time. While two are open, the third is a 503. Without the
//! `Handover` a permit would end with the empty body of the 101, and the limit would count no open
//! sockets. `/sockets` shows how many are open: 1 here.

use std::{env, error::Error};

use axum::{
    Router,
    extract::ws::{WebSocket, WebSocketUpgrade},
    response::Response,
    routing::get,
};
use plimsoll::{Claim, GateLayer, Handover, concurrency::ConcurrencyLimit};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // A limit of its own: open sockets must not take the slots of requests. It is fixed, since an
    // adaptive limit measures nothing from sockets.
    let sockets = ConcurrencyLimit::new(2)?;
    let handle = sockets.handle();

    let app: Router = Router::new()
        .route("/echo", get(upgrade).layer(GateLayer::new(sockets)))
        .route(
            "/sockets",
            get(move || async move { handle.in_flight().to_string() }),
        );

    let address = env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".into());
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}

async fn upgrade(upgrade: WebSocketUpgrade) -> Response {
    let (handover, claim) = Handover::pair();
    let mut response = upgrade.on_upgrade(|socket| echo(socket, claim));
    // Every gate on the way out puts its permit into the handover.
    response.extensions_mut().insert(handover);
    response
}

async fn echo(mut socket: WebSocket, claim: Claim) {
    while let Some(Ok(message)) = socket.recv().await {
        if socket.send(message).await.is_err() {
            break;
        }
    }
    drop(claim); // the permits end here
}
