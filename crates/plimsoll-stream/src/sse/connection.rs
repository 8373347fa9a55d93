//! One stream: what is written next.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll},
};

use bytes::Bytes;
use tokio::time::Instant;

use crate::{
    hub::Resumed,
    queue::Delivery,
    sse::{
        acks::Acked,
        event::SseEvent,
        figures::count,
        frame::Frame,
        ladder::{Ladder, Step},
        moves::Id,
        positions::{Position, Positions},
        source::Source,
        topic::Shared,
        trace::{self, Batch},
    },
};

/// Bytes of a frame, from which on no event is added.
///
/// 8 KiB, the first buffer of hyper: larger frames delay the first event in them, and smaller ones
/// fill hyper's queue of 16 chunks with little data.
const FRAME: usize = 8 << 10;
/// The same for a client that is behind: it needs throughput, and latency no longer matters.
const WIDE_FRAME: usize = 64 << 10;

/// Counts a client as long as it lives.
pub(crate) struct Place(Arc<Shared>);

impl Place {
    /// A place, if there is room for one more client.
    pub(crate) fn take(shared: &Arc<Shared>) -> Option<Self> {
        let max = shared.limits.max_clients;
        let clients = &shared.figures.clients;
        let taken = clients.fetch_update(Relaxed, Relaxed, |now| (now < max).then_some(now + 1));
        taken.ok().map(|_| Self(Arc::clone(shared)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.figures.clients.fetch_sub(1, Relaxed);
    }
}

/// A stream of a client, without its timers.
pub(crate) struct Connection {
    place: Place,
    /// What `written` is for others.
    position: Position,
    source: Source,
    /// What was written last: with what a client continues.
    written: Id,
    acked: Option<Acked>,
    ladder: Ladder,
    /// Events that may still be sent: the stream is one poll. `None` for as many as there are.
    left: Option<usize>,
    stage: Stage,
    /// Since when the window of acknowledgements is closed.
    blocked_since: Option<Instant>,
}

#[derive(Debug, PartialEq, Eq)]
enum Stage {
    First,
    Open,
    Done,
}

impl Connection {
    pub(crate) fn new(
        place: Place,
        source: Source,
        acked: Option<Acked>,
        left: Option<usize>,
        moved: Option<u64>,
    ) -> Self {
        let cursor = source.subscription().cursor();
        let written = Id { cursor, moved };
        Self {
            position: Positions::add(&place.0.positions, cursor.seq),
            place,
            written,
            source,
            acked,
            ladder: Ladder::default(),
            left,
            stage: Stage::First,
            blocked_since: None,
        }
    }

    fn shared(&self) -> &Shared {
        &self.place.0
    }

    fn lag(&self) -> u64 {
        self.source.subscription().lag()
    }

    /// When the client will have been silent for too long, if it must acknowledge.
    pub(crate) fn ack_deadline(&self) -> Option<Instant> {
        let timeout = self.shared().limits.ack_timeout;
        self.blocked_since.map(|since| since + timeout)
    }

    /// The next frame, or `None` at the end.
    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<Option<Bytes>> {
        let (mut frame, mut batch) = (Frame::default(), Batch::default());
        match self.stage {
            Stage::Done => return Poll::Ready(None),
            Stage::First => {
                self.stage = Stage::Open;
                self.first(&mut frame);
            }
            Stage::Open => {}
        }
        // Before the events of this frame: it announces what the client is about to see.
        self.observe(&mut frame, now);
        if self.stage == Stage::Open {
            self.fill(&mut frame, &mut batch, cx, now);
            self.position.set(self.written.cursor.seq);
        }
        if frame.is_empty() {
            return match self.stage {
                Stage::Done => Poll::Ready(None),
                _ => Poll::Pending,
            };
        }
        self.shared()
            .figures
            .bytes
            .fetch_add(frame.len() as u64, Relaxed);
        batch.written(&self.shared().limits.name);
        Poll::Ready(Some(frame.0.freeze()))
    }

    /// Retry, the id to come back with, and what comes before the events.
    fn first(&self, frame: &mut Frame) {
        frame.prime(self.shared().limits.retry, self.written);
        if let Resumed::Reset(reset) = self.source.subscription().resumed() {
            frame.reset(reset, self.written);
        }
        if let Some(acked) = &self.acked {
            frame.open(&acked.id, acked.window);
        }
    }

    /// Notifies a slow client, or moves it to polling.
    fn observe(&mut self, frame: &mut Frame, now: Instant) {
        let (limits, figures) = (&self.place.0.limits, &self.place.0.figures);
        // A poll is already the last step.
        if self.left.is_some() {
            return;
        }
        let is_silent = self
            .blocked_since
            .is_some_and(|since| now.saturating_duration_since(since) >= limits.ack_timeout);
        let lag = self.lag();
        match self.ladder.observe(&limits.marks, lag, now) {
            _ if is_silent => {
                count(&figures.moved_ack_timeout);
                self.end(frame, "no acknowledgement");
            }
            Some(Step::Pause) => {
                count(&figures.pauses);
                frame.pause();
            }
            Some(Step::Resume) => {
                count(&figures.resumes);
                frame.resume();
            }
            Some(Step::Poll) => {
                count(&figures.moved_slow);
                self.end(frame, "buffer full");
            }
            None => {}
        }
    }

    /// Moves the client to polling: the stream ends, and the client comes back after a while.
    fn end(&mut self, frame: &mut Frame, reason: &str) {
        let (number, evicts) = self.shared().moves.begin();
        self.written.moved = Some(number);
        if evicts {
            count(&self.shared().figures.evicted_moves);
        }
        let after = self.shared().limits.poll_after();
        frame.poll(reason, self.written, after);
        frame.retry(after);
        self.stage = Stage::Done;
    }

    /// Adds events, and registers the waker if there are none.
    fn fill(&mut self, frame: &mut Frame, batch: &mut Batch, cx: &mut Context<'_>, now: Instant) {
        let marks = &self.shared().limits.marks;
        let max = if Ladder::is_wide(marks, self.lag()) {
            WIDE_FRAME
        } else {
            FRAME
        };
        while frame.len() < max {
            if self.left == Some(0) || (self.left.is_some() && self.lag() == 0) {
                let after = self.shared().limits.poll_after();
                frame.retry(after);
                self.stage = Stage::Done;
                return;
            }
            if let Some(acked) = &self.acked {
                if !acked.poll_may_send(cx) {
                    // Without an event to send, the client is not late.
                    if self.source.poll_ready(cx).is_ready() {
                        self.blocked_since.get_or_insert(now);
                    }
                    return;
                }
                self.blocked_since = None;
            }
            match self.source.poll_next(cx, frame.is_empty()) {
                Poll::Pending => return,
                Poll::Ready(Some(delivery)) => self.write(frame, batch, delivery),
                Poll::Ready(None) => {
                    self.stage = Stage::Done;
                    return;
                }
            }
        }
    }

    fn write(&mut self, frame: &mut Frame, batch: &mut Batch, delivery: Delivery<SseEvent>) {
        match delivery {
            Delivery::Item { seq, item } => {
                self.written.cursor.seq = seq;
                frame.event(self.written, &item);
                match &self.acked {
                    Some(acked) => {
                        let name = &self.shared().limits.name;
                        acked.sent(seq, trace::Delivery::open(name, seq, item.origin));
                    }
                    None => batch.add(seq, item.origin),
                }
                self.left = self.left.map(|left| left - 1);
            }
            Delivery::Gap(gap) => {
                self.written.cursor.seq = gap.to;
                frame.gap(gap, self.written);
                if let Some(acked) = &self.acked {
                    acked.skip_to(gap.to);
                }
            }
        }
    }

    /// A heartbeat, when there was nothing else for a while.
    pub(crate) fn heartbeat(&self) -> Bytes {
        count(&self.shared().figures.heartbeats);
        let mut frame = Frame::default();
        frame.heartbeat();
        frame.0.freeze()
    }

    pub(crate) fn heartbeat_every(&self) -> std::time::Duration {
        self.shared().limits.heartbeat
    }
}
