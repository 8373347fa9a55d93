//! A topic of server-sent events.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use plimsoll_core::figures::{self, Figure, Figures};

use super::hub;
use crate::{
    hub::Shared,
    sse::{SseEvent, Topic, TopicShared},
};

impl Topic {
    /// Returns the figures of this topic, for a dashboard. They keep its events in memory, and do
    /// not keep it open.
    pub fn figures(&self) -> impl Figures + use<> {
        TopicFigures {
            topic: Arc::clone(&self.shared),
            log: Arc::clone(&self.hub.shared),
        }
    }
}

struct TopicFigures {
    topic: Arc<TopicShared>,
    log: Arc<Shared<SseEvent>>,
}

impl Figures for TopicFigures {
    fn policy(&self) -> &'static str {
        "sse"
    }

    fn read(&self, each: &mut dyn FnMut(&'static Figure, f64)) {
        let counts = &self.topic.figures;
        each(&figures::CLIENTS, counts.clients.load(Relaxed) as f64);
        each(
            &figures::LOAD,
            self.topic.buffer_utilization(self.log.last()),
        );
        each(&figures::REJECTED, counts.rejected.load(Relaxed) as f64);
        hub::read(&self.log.counters(), each);
        let moved = counts.moved_slow.load(Relaxed) + counts.moved_ack_timeout.load(Relaxed);
        each(&MOVED, moved as f64);
    }
}

static MOVED: Figure = Figure::counter("moved_to_polling", "Clients that were moved to polling");
