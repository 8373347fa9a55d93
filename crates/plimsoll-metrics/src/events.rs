//! The latest changes of all watched policies, in the order of time.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use plimsoll_core::figures::Change;

/// Bound of events that are kept: about 200 KiB. Older ones are dropped.
const MAX_EVENTS: usize = 1024;

/// A change of a watched policy.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Event {
    /// The number of the event: 1, 2, 3 and so on. A gap is an event that is no longer kept.
    pub number: u64,
    /// When it was reported.
    pub at: SystemTime,
    /// The gate.
    pub gate: String,
    /// The policy.
    pub policy: String,
    /// What changed, from what, to what and why.
    pub change: Change,
}

/// A ring of the latest events.
#[derive(Debug, Default)]
pub(crate) struct EventLog(Mutex<Ring>);

#[derive(Debug, Default)]
struct Ring {
    added: u64,
    events: VecDeque<Event>,
}

impl EventLog {
    pub(crate) fn add(&self, gate: &str, policy: &str, change: &Change) {
        let (gate, policy, change) = (gate.to_owned(), policy.to_owned(), change.clone());
        let at = SystemTime::now();
        let mut ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ring.added += 1;
        let number = ring.added;
        if ring.events.len() == MAX_EVENTS {
            ring.events.pop_front();
        }
        ring.events.push_back(Event {
            number,
            at,
            gate,
            policy,
            change,
        });
    }

    pub(crate) fn after(&self, number: u64) -> Vec<Event> {
        let ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let newer = ring.events.iter().filter(|event| event.number > number);
        newer.cloned().collect()
    }
}
