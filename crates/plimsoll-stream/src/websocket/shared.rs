//! What the tasks and handles of one connection share.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicBool,
            Ordering::{Relaxed, SeqCst},
        },
    },
    task::Waker,
    time::Duration,
};

use axum::extract::ws::Message;
use plimsoll_core::LoadSignal as _;
use tokio::{sync::watch, time::Instant};

use super::{
    counters::Totals,
    flow,
    limits::WebSocketLimits,
    reason::{CloseReason, Closed},
};
use crate::{BoundedQueue, InvalidQueue, clock};

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) limits: Arc<WebSocketLimits>,
    pub(super) totals: Arc<Totals>,
    /// Messages to the client.
    pub(super) outbound: BoundedQueue<Message>,
    /// Messages from the client.
    pub(super) inbound: BoundedQueue<Message>,
    /// How the connection ended, once that is decided.
    pub(super) closed: watch::Sender<Option<Closed>>,
    /// Copies of what `State` has, so that most messages need no lock.
    outbound_over: AtomicBool,
    inbound_over: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// When the queue to the client rose above its high mark, until it falls below the low one.
    over_since: Option<Instant>,
    /// Whether the client was asked to pause.
    asked_to_pause: bool,
    /// When the client asked for a pause.
    paused_since: Option<Instant>,
    /// When the last frame of the client came.
    heard: Instant,
    /// Whether the task that reads waits for the application.
    reading_waits: bool,
    /// The first decision to close.
    close: Option<Closed>,
    /// Of the task that writes.
    writer: Option<Waker>,
}

/// The state as the task that writes needs it.
pub(super) struct View {
    pub(super) close: Option<Closed>,
    pub(super) is_paused: bool,
    /// When the client is to be disconnected, and why.
    pub(super) limit: Option<(Instant, CloseReason)>,
}

impl Shared {
    pub(super) fn new(
        limits: Arc<WebSocketLimits>,
        totals: Arc<Totals>,
    ) -> Result<Self, InvalidQueue> {
        let (outbound, inbound) = (limits.outbound(&totals)?, limits.inbound_queue()?);
        Ok(Self {
            limits,
            totals,
            outbound,
            inbound,
            closed: watch::Sender::new(None),
            outbound_over: AtomicBool::new(false),
            inbound_over: AtomicBool::new(false),
            state: Mutex::new(State {
                over_since: None,
                asked_to_pause: false,
                paused_since: None,
                heard: clock::now(),
                reading_waits: false,
                close: None,
                writer: None,
            }),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code of the user runs under this lock, so it is never poisoned.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, and wakes the task that writes.
    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        change(&mut state);
        let writer = state.writer.take();
        drop(state);
        if let Some(writer) = writer {
            writer.wake();
        }
    }

    /// Decides to close. The first decision counts.
    pub(super) fn close(&self, closed: Closed) {
        self.change(|state| _ = state.close.get_or_insert(closed));
    }

    pub(super) fn close_because(&self, reason: CloseReason) {
        self.close(Closed::by_server(reason, self.limits.slow_code));
    }

    /// Compares the queue to the client with its marks. Called after each change.
    pub(super) fn outbound_changed(&self) {
        let bytes = self.limits.hard_bytes;
        if bytes.is_some_and(|bytes| self.outbound.bytes() >= bytes) {
            self.close_because(CloseReason::QueueBytes);
        }
        if self.crosses(&self.outbound, &self.outbound_over).is_some() {
            // Again under the lock: of several tasks the last one sees the latest length.
            self.change(|state| {
                if let Some(over) = self.crosses(&self.outbound, &self.outbound_over) {
                    self.outbound_over.store(over, SeqCst);
                    state.over_since = over.then(Instant::now);
                }
            });
        }
    }

    /// Compares the queue from the client with its marks. Called after each change.
    pub(super) fn inbound_changed(&self) {
        if self.crosses(&self.inbound, &self.inbound_over).is_some() {
            self.change(|_| {
                if let Some(over) = self.crosses(&self.inbound, &self.inbound_over) {
                    self.inbound_over.store(over, SeqCst);
                }
            });
        }
    }

    /// Whether the queue has risen to the high mark, or fallen to the low one.
    fn crosses(&self, queue: &BoundedQueue<Message>, over: &AtomicBool) -> Option<bool> {
        let (load, before) = (queue.load(), over.load(Relaxed));
        let after = if before {
            load > self.limits.low
        } else {
            load >= self.limits.high
        };
        (after != before).then_some(after)
    }

    /// The flow message that the client needs now, if any.
    pub(super) fn flow_message(&self) -> Option<Message> {
        let inbound = self.inbound_over.load(SeqCst);
        let pause = inbound || self.outbound_over.load(SeqCst);
        let mut state = self.state();
        if !self.limits.flow_messages || state.asked_to_pause == pause {
            return None;
        }
        state.asked_to_pause = pause;
        drop(state);
        if !pause {
            return Some(flow::resume());
        }
        self.totals.pauses_sent.add();
        let reason = if inbound {
            "receive buffer full"
        } else {
            "buffer full"
        };
        Some(flow::pause(reason))
    }

    /// The client asks for a pause, or for its end. Repetitions change nothing, and no pause begins
    /// after a decision to close.
    pub(super) fn set_paused(&self, paused: bool) {
        let now = clock::now();
        self.change(|state| match (paused, state.paused_since) {
            (true, None) if state.close.is_none() => {
                state.paused_since = Some(now);
                self.totals.pauses_received.add();
                self.totals.paused.fetch_add(1, SeqCst);
            }
            (false, Some(since)) => {
                state.paused_since = None;
                self.totals.paused.fetch_sub(1, SeqCst);
                self.totals.add_paused(now.saturating_duration_since(since));
            }
            _ => {}
        });
    }

    pub(super) fn paused_for(&self) -> Option<Duration> {
        self.state().paused_since.map(|since| since.elapsed())
    }

    /// A frame of the client came: the silence ends.
    pub(super) fn heard(&self) {
        self.state().heard = clock::now();
    }

    /// The task that reads begins or ends to wait for the application. Silence does not count while
    /// it waits.
    pub(super) fn reading_waits(&self, waits: bool) {
        let now = clock::now();
        self.change(|state| {
            state.reading_waits = waits;
            state.heard = now;
        });
    }

    /// Returns the state for the task that writes, which is woken at the next change.
    pub(super) fn view(&self, waker: &Waker) -> View {
        let limits = &self.limits;
        let mut state = self.state();
        let before = match &state.writer {
            Some(writer) if writer.will_wake(waker) => None,
            _ => state.writer.replace(waker.clone()),
        };
        let over = state.over_since.zip(limits.over_mark);
        let over = over.map(|(since, limit)| (since + limit, CloseReason::OverMark));
        let silent = limits.silence_limit.filter(|_| !state.reading_waits);
        let silent = silent.map(|limit| (state.heard + limit, CloseReason::Silent));
        let view = View {
            close: state.close.clone(),
            is_paused: state.paused_since.is_some(),
            limit: over.into_iter().chain(silent).min_by_key(|(at, _)| *at),
        };
        drop(state);
        drop(before);
        view
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::QueuePolicy;

    #[tokio::test]
    async fn a_queue_is_over_from_its_high_mark_down_to_its_low_one() {
        let limits = WebSocketLimits::new(10, QueuePolicy::DropOldest).marks(0.5, 0.8);
        let shared = Shared::new(Arc::new(limits), Arc::new(Totals::new())).unwrap();
        let is_over = || {
            shared.outbound_changed();
            shared.outbound_over.load(SeqCst)
        };
        for n in 1..=10 {
            shared.outbound.try_send(Message::text("tick")).unwrap();
            assert_eq!(is_over(), n >= 8, "{n} messages, growing");
            assert_eq!(shared.flow_message().is_some(), n == 8);
        }
        for n in (0..10).rev() {
            shared.outbound.try_recv().unwrap();
            assert_eq!(is_over(), n > 5, "{n} messages, falling");
            assert_eq!(shared.flow_message().is_some(), n == 5);
        }
    }
}
