//! A topic: one log of events, and the clients that follow it.

use std::{fmt, sync::Arc};

use crate::{
    hub::{Cursor, Hub, PublishError, Published},
    sse::{
        acks::{AckError, Acks},
        event::SseEvent,
        figures::{Figures, TopicCounters, count},
        limits::Limits,
        moves::Moves,
        positions::Positions,
        trace::Origin,
    },
};

/// A topic of server-sent events.
///
/// Clones share the topic. It closes when the last clone is dropped, routers included: streams then
/// end, and browsers come back after the time of [`retry`](crate::sse::TopicBuilder::retry).
///
/// See the [module](crate::sse) for its routes and what a client sees.
#[derive(Clone)]
pub struct Topic {
    pub(crate) hub: Hub<SseEvent>,
    pub(crate) shared: Arc<Shared>,
}

/// What a topic and its streams share. Streams do not keep the topic open.
pub(crate) struct Shared {
    pub(crate) limits: Limits,
    pub(crate) figures: Figures,
    pub(crate) acks: Arc<Acks>,
    pub(crate) positions: Arc<Positions>,
    pub(crate) moves: Moves,
}

impl Shared {
    /// The share of the client that is furthest behind the `last` event.
    pub(crate) fn buffer_utilization(&self, last: u64) -> f64 {
        let lowest = self.positions.lowest();
        let lag = lowest.map_or(0, |seq| last.saturating_sub(seq));
        lag as f64 / self.limits.marks.buffer as f64
    }
}

impl Topic {
    pub(crate) fn new(hub: Hub<SseEvent>, limits: Limits) -> Self {
        let shared = Shared {
            limits,
            figures: Figures::default(),
            acks: Arc::default(),
            positions: Arc::default(),
            moves: Moves::default(),
        };
        Self {
            hub,
            shared: Arc::new(shared),
        }
    }

    /// Publishes an event to all clients. Never waits.
    ///
    /// # Errors
    ///
    /// [`PublishError`], with the event, when the topic is closed or the event alone exceeds the
    /// bound in bytes.
    pub fn publish(&self, mut event: SseEvent) -> Result<Published, PublishError<SseEvent>> {
        event.origin = Origin::now(self.shared.limits.window.is_some());
        self.hub.publish(event)
    }

    /// Takes the acknowledgement of a client: it has processed all up to this cursor.
    ///
    /// The same one again, or an earlier one, changes nothing.
    ///
    /// # Errors
    ///
    /// [`AckError`]; the connection is as it was.
    pub fn acknowledge(&self, connection: &str, cursor: Cursor) -> Result<(), AckError> {
        let epoch = self.hub.cursor().epoch;
        let taken = self.shared.acks.acknowledge(connection, epoch, cursor);
        let figures = &self.shared.figures;
        count(match taken {
            Ok(_) => &figures.acks,
            Err(_) => &figures.rejected_acks,
        });
        taken.map(|batch| batch.acknowledged(&self.shared.limits.name))
    }

    /// Closes the topic. Returns whether it was open. Streams end after what was published before.
    pub fn close(&self) -> bool {
        self.hub.close()
    }

    /// Returns the cursor of the last event that was published.
    pub fn cursor(&self) -> Cursor {
        self.hub.cursor()
    }

    /// Returns the highest share of its [buffer](crate::sse::TopicBuilder::buffer) that a connected
    /// client is behind: 0 without clients, and above 1 for one that lives on the overflow.
    ///
    /// For metrics and alarms: it looks at each client, so it costs some microseconds for 10,000
    /// of them. It takes no lock meanwhile.
    pub fn buffer_utilization(&self) -> f64 {
        self.shared.buffer_utilization(self.hub.cursor().seq)
    }

    /// Returns the counters. They are read one after the other.
    pub fn counters(&self) -> TopicCounters {
        self.shared.figures.read(self.hub.counters())
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Topic")
            .field("hub", &self.hub)
            .field("limits", &self.shared.limits)
            .finish_non_exhaustive()
    }
}
