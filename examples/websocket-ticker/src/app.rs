//! The routes.

use axum::{
    Router,
    extract::{Path, State},
    response::{Html, IntoResponse as _, Response},
    routing::{any, get},
};
use http::{StatusCode, header::CONTENT_TYPE};
use plimsoll_stream::{
    listener::{BackpressureHandle, SlowDisconnect},
    websocket::Handshake,
};
use serde_json::json;
use tokio::sync::watch;

use crate::strategies::{Strategies, follow};

#[derive(Clone)]
struct App {
    strategies: Strategies,
    ticks: watch::Receiver<u64>,
    sockets: BackpressureHandle,
}

pub(crate) fn app(
    strategies: Strategies,
    ticks: watch::Receiver<u64>,
    sockets: BackpressureHandle,
) -> Router {
    Router::new()
        .route("/", get(|| async { Html(include_str!("page.html")) }))
        .route("/ticks/{strategy}", any(subscribe))
        .route("/stats", get(stats))
        .with_state(App {
            strategies,
            ticks,
            sockets,
        })
}

async fn subscribe(
    State(app): State<App>,
    Path(strategy): Path<String>,
    handshake: Handshake,
) -> Response {
    match app.strategies.get(&strategy) {
        Some(sockets) => sockets.accept(handshake, |client| follow(client, app.ticks)),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn stats(State(app): State<App>) -> Response {
    let stats = json!({
        "tick": *app.ticks.borrow(),
        "strategies": app.strategies.stats(),
        "sockets": {
            "open": app.sockets.open(),
            "blocked": app.sockets.blocked(),
            "unsent": app.sockets.unsent().map(|unsent| unsent.unsent),
            "write_deadline": app.sockets.slow_disconnects(SlowDisconnect::WriteDeadline),
        },
    });
    ([(CONTENT_TYPE, "application/json")], stats.to_string()).into_response()
}
