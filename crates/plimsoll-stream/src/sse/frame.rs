//! The frames that a topic makes itself.

use std::{fmt::Write as _, time::Duration};

use bytes::{BufMut, BytesMut};

use crate::{
    hub::Reset,
    queue::Gap,
    sse::{event::SseEvent, moves::Id},
};

/// A frame under construction: whole events, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Frame(pub(crate) BytesMut);

impl Frame {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Writes text that is made of numbers and names of this crate, so it has no line break.
    fn text(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a buffer that grows does not fail.
        _ = self.0.write_fmt(text);
    }

    /// An event with its id.
    pub(crate) fn event(&mut self, id: Id, event: &SseEvent) {
        self.text(format_args!("id: {id}\n"));
        self.0.put_slice(event.as_bytes());
    }

    /// The time after which a client comes back.
    pub(crate) fn retry(&mut self, after: Duration) {
        self.text(format_args!("retry: {}\n\n", after.as_millis()));
    }

    /// The first frame. An id without data is kept by a browser and dispatches nothing.
    pub(crate) fn prime(&mut self, after: Duration, id: Id) {
        self.text(format_args!("retry: {}\nid: {id}\n\n", after.as_millis()));
    }

    pub(crate) fn reset(&mut self, reset: Reset, id: Id) {
        let Reset { reason, from, to } = reset;
        let reason = reason.name();
        self.text(format_args!(
            "id: {id}\nevent: reset\ndata: {{\"reason\":\"{reason}\",\"from\":{from},\"to\":{to}}}\n\n"
        ));
    }

    pub(crate) fn gap(&mut self, gap: Gap, id: Id) {
        let Gap { from, to, reason } = gap;
        let reason = reason.name();
        self.text(format_args!(
            "id: {id}\nevent: gap\ndata: {{\"from\":{from},\"to\":{to},\"reason\":\"{reason}\"}}\n\n"
        ));
    }

    pub(crate) fn pause(&mut self) {
        self.flow(format_args!(
            "{{\"event\":\"flow.pause\",\"reason\":\"buffer full\"}}"
        ));
    }

    pub(crate) fn resume(&mut self) {
        self.flow(format_args!("{{\"event\":\"flow.resume\"}}"));
    }

    /// Asks the client to poll, after this time. From now on its id is this one.
    pub(crate) fn poll(&mut self, reason: &str, id: Id, retry: Duration) {
        self.text(format_args!("id: {id}\n"));
        self.flow(format_args!(
            "{{\"event\":\"flow.poll\",\"reason\":\"{reason}\",\"after\":\"{id}\",\"retry_ms\":{}}}",
            retry.as_millis()
        ));
    }

    fn flow(&mut self, data: std::fmt::Arguments<'_>) {
        self.text(format_args!("event: flow\ndata: {data}\n\n"));
    }

    pub(crate) fn open(&mut self, connection: &str, window: u64) {
        self.text(format_args!(
            "event: open\ndata: {{\"connection\":\"{connection}\",\"window\":{window}}}\n\n"
        ));
    }

    /// A comment, which keeps proxies from closing an idle stream.
    pub(crate) fn heartbeat(&mut self) {
        self.0.put_slice(b":\n\n");
    }
}
