//! An event, as it is written.

use std::{fmt, sync::Arc};

use bytes::{BufMut, Bytes, BytesMut};

use crate::{queue::Weight, sse::trace::Origin};

/// A server-sent event. It is encoded once, however many clients receive it.
///
/// The id is given by the [`Topic`](crate::sse::Topic).
#[derive(Clone, PartialEq, Eq)]
pub struct SseEvent {
    /// `event` and `data` lines with the empty line at the end.
    lines: Bytes,
    key: Option<Arc<str>>,
    /// Set when it is published.
    pub(crate) origin: Origin,
}

/// The name of an event has a line break, is empty, or is one of the topic's own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the name of an event is {name:?}, it must be one line and none of: reset, gap, flow, open"
)]
pub struct InvalidEvent {
    name: String,
}

/// Names of the frames that a topic makes itself.
const OWN: [&str; 4] = ["reset", "gap", "flow", "open"];

impl SseEvent {
    /// Makes an event with this data. A line break in it makes several `data` lines, which a client
    /// joins again by `\n`.
    pub fn new(data: &str) -> Self {
        let mut lines = BytesMut::with_capacity(data.len() + 8);
        put_data(&mut lines, data);
        lines.put_u8(b'\n');
        Self {
            lines: lines.freeze(),
            key: None,
            origin: Origin::default(),
        }
    }

    /// Sets the name, by which a browser dispatches the event. Without one it is `message`.
    ///
    /// # Errors
    ///
    /// [`InvalidEvent`] when the name is empty, has a line break, or is `reset`, `gap`, `flow` or
    /// `open`, which the topic uses.
    pub fn event(mut self, name: &str) -> Result<Self, InvalidEvent> {
        if name.is_empty() || name.contains(['\n', '\r', '\0']) || OWN.contains(&name) {
            return Err(InvalidEvent {
                name: name.to_owned(),
            });
        }
        let mut lines = BytesMut::with_capacity(self.lines.len() + name.len() + 8);
        put_field(&mut lines, "event", name);
        lines.put_slice(&self.lines);
        self.lines = lines.freeze();
        Ok(self)
    }

    /// Sets the key: a later event of the same key replaces this one for a client that is too far
    /// behind, if the topic [coalesces](crate::sse::TopicBuilder::coalesce).
    pub fn key(mut self, key: &str) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Returns the lines as they are written after the id.
    pub fn as_bytes(&self) -> &Bytes {
        &self.lines
    }

    pub(crate) fn get_key(&self) -> Option<&Arc<str>> {
        self.key.as_ref()
    }
}

/// The bytes that are written, with the key.
impl Weight for SseEvent {
    fn weight(&self) -> usize {
        self.lines.len() + self.key.as_ref().map_or(0, |key| key.len())
    }
}

impl fmt::Debug for SseEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SseEvent")
            .field("lines", &String::from_utf8_lossy(&self.lines))
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

pub(crate) fn put_field(out: &mut BytesMut, field: &str, value: &str) {
    out.put_slice(field.as_bytes());
    out.put_slice(b": ");
    out.put_slice(value.as_bytes());
    out.put_u8(b'\n');
}

/// One `data` line for each line: a client takes `\n`, `\r` and `\r\n` for line ends.
fn put_data(out: &mut BytesMut, data: &str) {
    let mut rest = data;
    while let Some(end) = rest.find(['\n', '\r']) {
        put_field(out, "data", &rest[..end]);
        let width = if rest[end..].starts_with("\r\n") {
            2
        } else {
            1
        };
        rest = &rest[end + width..];
    }
    put_field(out, "data", rest);
}
