//! The three strategies.

use axum::extract::ws::CloseFrame;
use plimsoll_stream::{
    DropReason, QueuePolicy,
    websocket::{Client, CloseReason, InvalidWebSocket, WebSocketLimits, WebSockets},
};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::{settings::Settings, ticker::message};

/// One set of limits, and of counters, for each strategy.
#[derive(Clone)]
pub(crate) struct Strategies([(&'static str, WebSockets); 3]);

impl Strategies {
    pub(crate) fn new(settings: &Settings) -> Result<Self, InvalidWebSocket> {
        let sockets = |policy, over_mark| {
            WebSocketLimits::new(settings.capacity, policy)
                .max_bytes(256 * 1024)
                .over_mark(over_mark)
                .write_deadline(settings.write_deadline)
                .max_connections(1_000)
                .build()
        };
        let disconnect = Some(settings.over_mark);
        Ok(Self([
            ("oldest", sockets(QueuePolicy::DropOldest, None)?),
            ("newest", sockets(QueuePolicy::DropNewest, None)?),
            ("block", sockets(QueuePolicy::BLOCK, disconnect)?),
        ]))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&WebSockets> {
        let found = self.0.iter().find(|(strategy, _)| *strategy == name);
        found.map(|(_, sockets)| sockets)
    }

    pub(crate) fn close_all(&self, frame: &CloseFrame) {
        self.0
            .iter()
            .for_each(|(_, sockets)| sockets.close_all(frame));
    }

    pub(crate) fn open(&self) -> usize {
        self.0.iter().map(|(_, sockets)| sockets.open()).sum()
    }

    /// The counters of each strategy, over all its clients.
    pub(crate) fn stats(&self) -> Value {
        self.0
            .iter()
            .map(|(name, sockets)| {
                let reasons = [DropReason::Oldest, DropReason::Newest];
                let dropped: u64 = reasons
                    .into_iter()
                    .map(|reason| sockets.dropped(reason))
                    .sum();
                let slow = CloseReason::ALL.iter().filter(|reason| reason.is_slow());
                let slow: u64 = slow.map(|reason| sockets.closed(*reason)).sum();
                let stats = json!({
                    "open": sockets.open(),
                    "sent": sockets.messages_out(),
                    "dropped": dropped,
                    "gaps": sockets.gaps(),
                    "paused": sockets.paused(),
                    "disconnected": slow,
                    "undelivered": sockets.undelivered(),
                });
                ((*name).to_owned(), stats)
            })
            .collect::<serde_json::Map<_, _>>()
            .into()
    }
}

/// Sends each tick to a client, until the connection ends.
///
/// The same for each strategy: under a policy that drops, a send never waits; under one that blocks
/// it waits for the client, and this client falls behind the ticker without losing a tick.
pub(crate) async fn follow(client: Client, mut ticks: watch::Receiver<u64>) {
    let sender = client.sender();
    // Messages of the client, apart from flow messages, are discarded.
    drop(client);
    let mut next = *ticks.borrow() + 1;
    while ticks.changed().await.is_ok() {
        let latest = *ticks.borrow_and_update();
        while next <= latest {
            if sender.send(message(next)).await.is_err() {
                return;
            }
            next += 1;
        }
    }
}
