//! The task that reads.

use std::{
    future::poll_fn,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use axum::extract::ws::Message;

use super::{
    control::ControlFrames,
    failure::reason,
    flow::{self, Command},
    reason::{CloseReason, Closed},
    shared::Shared,
    socket::Socket,
    weight::weight,
};
use crate::{SendError, clock};

/// Reads until the end of the connection. Never waits for the client to read.
///
/// After a decision to close it continues, so that the client's close frame is read and no received
/// data makes the kernel reset the connection; the task that writes ends it.
pub(super) async fn read(socket: Arc<Socket>, shared: Arc<Shared>) {
    let limits = &shared.limits;
    let now = clock::now();
    let mut control = ControlFrames::new(limits.control_frames, limits.control_period, now);
    loop {
        let message = match poll_fn(|cx| socket.poll_next(cx)).await {
            Some(Ok(message)) => message,
            Some(Err(error)) => return shared.close_because(reason(&error)),
            None => return shared.close_because(CloseReason::Lost),
        };
        shared.heard();
        let command = match &message {
            Message::Text(text) if limits.flow_messages => flow::read(text),
            _ => None,
        };
        let is_control = matches!(message, Message::Ping(_) | Message::Pong(_));
        if (is_control || command.is_some()) && !control.take(clock::now()) {
            shared.close_because(CloseReason::ControlFlood);
        }
        match (message, command) {
            (_, Some(Ok(command))) => shared.set_paused(command == Command::Pause),
            (_, Some(Err(_))) => shared.close_because(CloseReason::MalformedFlow),
            (Message::Ping(_) | Message::Pong(_), None) => {}
            (Message::Close(frame), None) => shared.close(Closed {
                reason: CloseReason::Client,
                frame,
            }),
            (message, None) => deliver(&shared, message).await,
        }
    }
}

/// Hands a message to the application, and waits while its queue is full.
async fn deliver(shared: &Shared, message: Message) {
    let totals = &shared.totals;
    totals.messages_in.add();
    totals.bytes_in.fetch_add(weight(&message) as u64, Relaxed);
    let sent = shared.inbound.try_send(message);
    shared.inbound_changed();
    let Err(SendError::Full(message)) = sent else {
        // Queued, or the application has dropped the client.
        return;
    };
    shared.reading_waits(true);
    // Fails when the application drops the client, and then discards the message.
    _ = shared.inbound.send(message).await;
    shared.reading_waits(false);
    shared.inbound_changed();
}
