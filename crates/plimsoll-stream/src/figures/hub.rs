//! A hub.

use std::sync::Arc;

use plimsoll_core::figures::{self, Figure, Figures};

use crate::hub::{Hub, HubCounters, Shared};

impl<T: Send + Sync + 'static> Hub<T> {
    /// Returns the figures of this hub, for a dashboard. They keep its items in memory, and do not
    /// keep it open.
    pub fn figures(&self) -> impl Figures + use<T> {
        HubFigures(Arc::clone(&self.shared))
    }
}

struct HubFigures<T>(Arc<Shared<T>>);

impl<T: Send + Sync + 'static> Figures for HubFigures<T> {
    fn policy(&self) -> &'static str {
        "hub"
    }

    fn read(&self, each: &mut dyn FnMut(&'static Figure, f64)) {
        each(&figures::CLIENTS, self.0.subscribers() as f64);
        read(&self.0.counters(), each);
    }
}

/// What a hub and a topic have in common. Items in gaps are lost to their subscriber.
pub(super) fn read(counters: &HubCounters, each: &mut dyn FnMut(&'static Figure, f64)) {
    each(&figures::SENT, counters.published as f64);
    each(&figures::RECEIVED, counters.delivered as f64);
    each(&MISSED, counters.missed as f64);
    each(&DISCONNECTED, counters.disconnected as f64);
}

static MISSED: Figure = Figure::counter("missed", "Items in the gaps of subscribers");
static DISCONNECTED: Figure = Figure::counter(
    "slow_disconnects",
    "Subscribers that were disconnected because they were slow",
);
