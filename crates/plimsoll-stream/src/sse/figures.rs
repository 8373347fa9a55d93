//! Figures of a topic.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use crate::hub::HubCounters;

/// What a topic has done since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct TopicCounters {
    /// The log: what was published, delivered and missed, and how often clients could continue.
    pub hub: HubCounters,
    /// Connections now.
    pub clients: usize,
    /// Connections that were opened.
    pub opened: u64,
    /// Clients for which there was no room.
    pub rejected: u64,
    /// Bytes that were written into responses.
    pub bytes: u64,
    /// Heartbeats that were written.
    pub heartbeats: u64,
    /// `flow.pause` that were sent.
    pub pauses: u64,
    /// `flow.resume` that were sent.
    pub resumes: u64,
    /// Clients that were moved to polling because they were behind.
    pub moved_slow: u64,
    /// Clients that were moved to polling because they did not acknowledge in time.
    pub moved_ack_timeout: u64,
    /// Streams that began behind and so were one poll.
    pub polled_streams: u64,
    /// Clients that were moved to polling and have come back to a stream, each once.
    pub returned: u64,
    /// Moves that were evicted, because 65,536 others followed: their clients do not count as
    /// returned.
    pub evicted_moves: u64,
    /// Requests to the poll endpoint that were answered with events.
    pub polls: u64,
    /// Requests that were answered with 429 and `retry-after`.
    pub answered_429: u64,
    /// Requests that were answered with 503 and `retry-after`.
    pub answered_503: u64,
    /// Acknowledgements that were taken.
    pub acks: u64,
    /// Acknowledgements that were rejected.
    pub rejected_acks: u64,
}

/// The counters. No order with other memory is needed.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) clients: AtomicUsize,
    pub(crate) opened: AtomicU64,
    pub(crate) rejected: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) heartbeats: AtomicU64,
    pub(crate) pauses: AtomicU64,
    pub(crate) resumes: AtomicU64,
    pub(crate) moved_slow: AtomicU64,
    pub(crate) moved_ack_timeout: AtomicU64,
    pub(crate) polled_streams: AtomicU64,
    pub(crate) returned: AtomicU64,
    pub(crate) evicted_moves: AtomicU64,
    pub(crate) polls: AtomicU64,
    pub(crate) answered_429: AtomicU64,
    pub(crate) answered_503: AtomicU64,
    pub(crate) acks: AtomicU64,
    pub(crate) rejected_acks: AtomicU64,
}

/// Adds one.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

impl Figures {
    pub(crate) fn read(&self, hub: HubCounters) -> TopicCounters {
        TopicCounters {
            hub,
            clients: self.clients.load(Relaxed),
            opened: self.opened.load(Relaxed),
            rejected: self.rejected.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            heartbeats: self.heartbeats.load(Relaxed),
            pauses: self.pauses.load(Relaxed),
            resumes: self.resumes.load(Relaxed),
            moved_slow: self.moved_slow.load(Relaxed),
            moved_ack_timeout: self.moved_ack_timeout.load(Relaxed),
            polled_streams: self.polled_streams.load(Relaxed),
            returned: self.returned.load(Relaxed),
            evicted_moves: self.evicted_moves.load(Relaxed),
            polls: self.polls.load(Relaxed),
            answered_429: self.answered_429.load(Relaxed),
            answered_503: self.answered_503.load(Relaxed),
            acks: self.acks.load(Relaxed),
            rejected_acks: self.rejected_acks.load(Relaxed),
        }
    }
}
