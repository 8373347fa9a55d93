//! Messages to one client.

use std::{fmt, sync::Arc, time::Duration};

use axum::extract::ws::{CloseFrame, Message};
use plimsoll_core::LoadSignal;

use super::{
    reason::{CloseReason, Closed},
    shared::Shared,
};
use crate::{Counters, InvalidQueue, QueuePolicy, SendError, Sent, WaitTimes};

/// Sends messages to one client, through its queue. Clones share the queue.
///
/// It does not keep the connection open: after its end, sends fail with
/// [`SendError::Closed`].
#[derive(Clone)]
pub struct ClientSender {
    pub(super) shared: Arc<Shared>,
}

impl ClientSender {
    /// Sends a message; under [`QueuePolicy::Block`] it waits until the message fits.
    ///
    /// Ready with what became of the message, and with those that it displaced. A
    /// [`Message::Close`] ends the connection when its turn comes.
    ///
    /// # Errors
    ///
    /// As for [`BoundedQueue::send`](crate::BoundedQueue::send): the connection has ended, the
    /// queue was full for the policy's timeout, or the message exceeds the bound in bytes.
    ///
    /// # Cancellation
    ///
    /// Dropping the future drops the message.
    pub async fn send(
        &self,
        message: impl Into<Message>,
    ) -> Result<Sent<Message>, SendError<Message>> {
        let sent = self.shared.outbound.send(message.into()).await;
        self.shared.outbound_changed();
        sent
    }

    /// Sends a message without waiting.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send), and [`SendError::Full`] where that would wait.
    pub fn try_send(
        &self,
        message: impl Into<Message>,
    ) -> Result<Sent<Message>, SendError<Message>> {
        let sent = self.shared.outbound.try_send(message.into());
        self.shared.outbound_changed();
        sent
    }

    /// Closes the connection with a frame, before messages that are still queued. Does nothing when
    /// it is already ending.
    pub fn close(&self, frame: CloseFrame) {
        self.shared.close(Closed {
            reason: CloseReason::Application,
            frame: Some(frame),
        });
    }

    /// Waits until the connection has ended, or is about to, and returns how.
    pub async fn closed(&self) -> Closed {
        let mut closed = self.shared.closed.subscribe();
        let lost = Closed {
            reason: CloseReason::Lost,
            frame: None,
        };
        // The channel lives as long as `self`.
        match closed.wait_for(Option::is_some).await {
            Ok(closed) => closed.clone().unwrap_or(lost),
            Err(_) => lost,
        }
    }

    /// Returns how the connection has ended, or is about to; `None` while it is open.
    pub fn try_closed(&self) -> Option<Closed> {
        self.shared.closed.borrow().clone()
    }

    /// Returns for how long the client has asked for no data; `None` when it takes data.
    pub fn paused_for(&self) -> Option<Duration> {
        self.shared.paused_for()
    }

    /// Returns the number of queued messages, without those that the writer took.
    pub fn len(&self) -> usize {
        self.shared.outbound.len()
    }

    /// Returns whether no message is queued.
    pub fn is_empty(&self) -> bool {
        self.shared.outbound.is_empty()
    }

    /// Returns the weight of the queued messages in bytes: payloads and 64 bytes per message.
    pub fn bytes(&self) -> usize {
        self.shared.outbound.bytes()
    }

    /// Returns the counters of the client's queue.
    pub fn counters(&self) -> Counters {
        self.shared.outbound.counters()
    }

    /// Returns how long messages waited, if the [queue](super::WebSocketLimits::queue) measures it.
    pub fn wait_times(&self) -> Option<WaitTimes> {
        self.shared.outbound.wait_times()
    }

    /// Changes the policy of the client's queue.
    ///
    /// # Errors
    ///
    /// As for [`BoundedQueue::set_policy`](crate::BoundedQueue::set_policy).
    pub fn set_policy(&self, policy: QueuePolicy) -> Result<(), InvalidQueue> {
        self.shared.outbound.set_policy(policy)
    }
}

/// The fill level of the client's queue, 0 to 1.
impl LoadSignal for ClientSender {
    fn load(&self) -> f64 {
        self.shared.outbound.load()
    }
}

impl fmt::Debug for ClientSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientSender")
            .field("len", &self.len())
            .field("bytes", &self.bytes())
            .field("closed", &self.try_closed())
            .finish_non_exhaustive()
    }
}
