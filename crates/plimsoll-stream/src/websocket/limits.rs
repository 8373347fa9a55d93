//! The settings of WebSocket connections.

use std::{fmt, sync::Arc, time::Duration};

use axum::extract::ws::Message;
use plimsoll_core::Http;

use crate::{BoundedQueueBuilder, QueuePolicy};

type Configure =
    Arc<dyn Fn(BoundedQueueBuilder<Message>) -> BoundedQueueBuilder<Message> + Send + Sync>;

/// The limits of WebSocket connections, checked together by [`build`](Self::build).
///
/// | setting | default | bounds |
/// |---|---|---|
/// | [`new`](Self::new): queue per client | | messages, and what is lost when it is full |
/// | [`max_bytes`](Self::max_bytes) | 1 MiB | the bytes of that queue |
/// | [`marks`](Self::marks) | 0.5, 0.8 | fill levels at which flow messages are sent |
/// | [`over_mark`](Self::over_mark) | 10 s under [`QueuePolicy::Block`], off under others | how long the queue may stay over its high mark |
/// | [`hard_bytes`](Self::hard_bytes) | off | the bytes at which a client is disconnected |
/// | [`write_deadline`](Self::write_deadline) | 10 s | one flush |
/// | [`close_deadline`](Self::close_deadline) | 2 s | the close handshake |
/// | [`ping_every`](Self::ping_every) | 15 s | the interval of pings |
/// | [`silence_limit`](Self::silence_limit) | 45 s | the time without a frame of the client |
/// | [`control_frames`](Self::control_frames) | 30 in 10 s | pings, pongs and flow messages of a client |
/// | [`inbound`](Self::inbound) | 32 and 256 KiB | received messages that the application has not taken |
/// | [`max_message_bytes`](Self::max_message_bytes) | 64 KiB | one received message |
/// | [`buffers`](Self::buffers) | 4 KiB, 8 KiB | tungstenite's read and write buffer |
/// | [`max_connections`](Self::max_connections) | 10,000 | open connections; more get a 503 |
#[derive(Clone)]
#[must_use = "settings do nothing until `build`"]
pub struct WebSocketLimits {
    pub(super) capacity: usize,
    pub(super) policy: QueuePolicy,
    pub(super) max_bytes: usize,
    pub(super) configure: Option<Configure>,
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) over_mark: Option<Duration>,
    pub(super) hard_bytes: Option<usize>,
    pub(super) write_deadline: Duration,
    pub(super) close_deadline: Duration,
    pub(super) ping_every: Option<Duration>,
    pub(super) silence_limit: Option<Duration>,
    pub(super) control_frames: u32,
    pub(super) control_period: Duration,
    pub(super) inbound_messages: usize,
    pub(super) inbound_bytes: usize,
    pub(super) max_message_bytes: usize,
    pub(super) read_buffer: usize,
    pub(super) write_buffer: usize,
    pub(super) flow_messages: bool,
    pub(super) slow_code: u16,
    pub(super) max_connections: usize,
    pub(super) retry_after: Duration,
    pub(super) http: Http,
}

impl WebSocketLimits {
    /// Limits with a queue of up to `capacity` messages per client, and what is lost when it is
    /// full.
    pub fn new(capacity: usize, policy: QueuePolicy) -> Self {
        let blocks = matches!(policy, QueuePolicy::Block { .. });
        Self {
            capacity,
            policy,
            max_bytes: 1 << 20,
            configure: None,
            low: 0.5,
            high: 0.8,
            over_mark: blocks.then_some(Duration::from_secs(10)),
            hard_bytes: None,
            write_deadline: Duration::from_secs(10),
            close_deadline: Duration::from_secs(2),
            ping_every: Some(Duration::from_secs(15)),
            silence_limit: Some(Duration::from_secs(45)),
            control_frames: 30,
            control_period: Duration::from_secs(10),
            inbound_messages: 32,
            inbound_bytes: 256 * 1024,
            max_message_bytes: 64 * 1024,
            read_buffer: 4 * 1024,
            write_buffer: 8 * 1024,
            flow_messages: true,
            slow_code: 4008,
            max_connections: 10_000,
            retry_after: Duration::from_secs(5),
            http: Http::new(),
        }
    }

    /// Bounds the queue per client in bytes: 1 to 2^30. A message weighs its payload and 64 bytes.
    pub fn max_bytes(mut self, max: usize) -> Self {
        self.max_bytes = max;
        self
    }

    /// Sets further settings of the queue per client, such as the key of
    /// [`QueuePolicy::Coalesce`] or [`measure_waits`](BoundedQueueBuilder::measure_waits).
    ///
    /// `configure` runs once per connection, and once in [`build`](Self::build). Weight and hook
    /// for drops are set after it: those set in it have no effect.
    pub fn queue<F>(mut self, configure: F) -> Self
    where
        F: Fn(BoundedQueueBuilder<Message>) -> BoundedQueueBuilder<Message> + Send + Sync + 'static,
    {
        self.configure = Some(Arc::new(configure));
        self
    }

    /// Sets the fill levels of both queues at which the client is asked to pause (`high`) and to
    /// resume (`low`): shares of the tighter bound, 0 <= low < high <= 1.
    pub fn marks(mut self, low: f64, high: f64) -> Self {
        (self.low, self.high) = (low, high);
        self
    }

    /// Sets for how long the queue of a client may stay over its mark until the client is
    /// disconnected. The time starts above the high mark, and ends below the low one. 1 ms to 24 h,
    /// or `None` for no limit.
    pub fn over_mark(mut self, limit: Option<Duration>) -> Self {
        self.over_mark = limit;
        self
    }

    /// Disconnects a client whose queue reaches this many bytes, instead of dropping messages: 1 up
    /// to [`max_bytes`](Self::max_bytes), or `None`.
    pub fn hard_bytes(mut self, bytes: Option<usize>) -> Self {
        self.hard_bytes = bytes;
        self
    }

    /// Sets how long a flush may take until the client is disconnected. 1 ms to 24 h.
    pub fn write_deadline(mut self, deadline: Duration) -> Self {
        self.write_deadline = deadline;
        self
    }

    /// Sets how long a close may take: writing the close frame, and waiting for the client's. The
    /// socket is dropped after that. 1 ms to 24 h.
    pub fn close_deadline(mut self, deadline: Duration) -> Self {
        self.close_deadline = deadline;
        self
    }

    /// Sets the interval of pings, or `None` for no pings. 1 ms to 24 h.
    pub fn ping_every(mut self, interval: Option<Duration>) -> Self {
        self.ping_every = interval;
        self
    }

    /// Disconnects a client that sends no frame for this time: neither data nor the answer to a
    /// ping. 1 ms to 24 h and longer than the interval of pings, or `None`.
    ///
    /// Time in which the application takes no messages, so that reading stops, does not count.
    pub fn silence_limit(mut self, limit: Option<Duration>) -> Self {
        self.silence_limit = limit;
        self
    }

    /// Disconnects a client that sends more pings, pongs and flow messages than `count` in a period:
    /// 1 to 2^20, in 1 ms to 24 h.
    pub fn control_frames(mut self, count: u32, period: Duration) -> Self {
        (self.control_frames, self.control_period) = (count, period);
        self
    }

    /// Bounds the received messages that the application has not taken: 1 to 2^20 messages, and at
    /// least one of the largest [message](Self::max_message_bytes) in bytes, plus 64 bytes.
    pub fn inbound(mut self, messages: usize, bytes: usize) -> Self {
        (self.inbound_messages, self.inbound_bytes) = (messages, bytes);
        self
    }

    /// Bounds one received message, and one frame, in bytes: 125 (a control frame) to 2^29.
    pub fn max_message_bytes(mut self, max: usize) -> Self {
        self.max_message_bytes = max;
        self
    }

    /// Sets tungstenite's buffers in bytes: 128 to 2^24 each.
    ///
    /// The read buffer is allocated per connection, and grows up to one message. Messages are
    /// collected up to the size of the write buffer before they are written.
    pub fn buffers(mut self, read: usize, write: usize) -> Self {
        (self.read_buffer, self.write_buffer) = (read, write);
        self
    }

    /// Sets whether flow messages are sent and read. `true` by default.
    ///
    /// For protocols of your own, in which a JSON message about the flow would be an error.
    pub fn flow_messages(mut self, flow: bool) -> Self {
        self.flow_messages = flow;
        self
    }

    /// Sets the code of the close frame for clients that are too slow: 1013 or 4000 to 4999. 4008 by
    /// default.
    pub fn slow_code(mut self, code: u16) -> Self {
        self.slow_code = code;
        self
    }

    /// Bounds the open connections: 1 to 2^20.
    pub fn max_connections(mut self, max: usize) -> Self {
        self.max_connections = max;
        self
    }

    /// Sets the estimate for `retry-after` when the connections are at their limit. Retries are
    /// spread between it and twice it. 1 ms to 24 h; 5 s by default.
    pub fn retry_after(mut self, estimate: Duration) -> Self {
        self.retry_after = estimate;
        self
    }

    /// Sets how a rejected handshake is answered. [`Http::new`] by default.
    pub fn http(mut self, http: Http) -> Self {
        self.http = http;
        self
    }
}

impl fmt::Debug for WebSocketLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketLimits")
            .field("capacity", &self.capacity)
            .field("policy", &self.policy)
            .field("max_bytes", &self.max_bytes)
            .field("max_connections", &self.max_connections)
            .finish_non_exhaustive()
    }
}
