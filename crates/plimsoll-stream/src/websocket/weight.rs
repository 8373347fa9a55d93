//! The weight of a message against the bounds in bytes.

use axum::extract::ws::Message;

/// What a queued message weighs beside its payload, in bytes: at least the size of `Message`.
pub(super) const OVERHEAD: usize = 64;
const _: () = assert!(size_of::<Message>() <= OVERHEAD);

pub(super) fn weight(message: &Message) -> usize {
    let payload = match message {
        Message::Text(text) => text.len(),
        Message::Binary(data) | Message::Ping(data) | Message::Pong(data) => data.len(),
        Message::Close(frame) => frame.as_ref().map_or(0, |frame| frame.reason.len()),
    };
    payload.saturating_add(OVERHEAD)
}
