//! The latest changes of all watched policies, in the order in which they were reported.

#[allow(clippy::disallowed_types)]
// For readers of the log. Order and ages use `instant`.
use std::time::SystemTime;
use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use plimsoll_core::{figures::Change, policy::Counter, support::Callbacks};
use tokio::time::Instant;

use crate::pulled::attempt;

/// Bound of events that are kept; older ones are dropped. 1,024 events are some hundred KiB, and at
/// one event a second the last 17 minutes. `the_log_keeps_the_latest_1024_events` fails when it
/// differs.
const MAX_EVENTS: usize = 1024;

/// A change of a watched policy or part, or of an alarm.
///
/// Events are ordered by [`number`](Self::number), and never by [`at`](Self::at): wall clocks are
/// set back.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Event {
    /// The number of the event: 1, 2, 3 and so on. A gap is an event that is no longer kept.
    pub number: u64,
    /// The wall clock when it was reported, for people. It may step in both directions.
    #[allow(clippy::disallowed_types)] // As above.
    pub at: SystemTime,
    /// When it was reported. Never before that of an earlier event.
    pub instant: Instant,
    /// The gate, or the name of a part.
    pub gate: String,
    /// The policy; of an event of an alarm, its name.
    pub policy: String,
    /// What changed, from what, to what and why.
    pub change: Change,
}

/// A ring of the latest events, and the subscribers.
#[derive(Debug, Default)]
pub(crate) struct EventLog {
    ring: Mutex<Ring>,
    subscribers: Callbacks<dyn Fn(&Event) + Send + Sync>,
    /// Events that were dropped before the watcher delivered them.
    pub(crate) missed: Counter,
}

#[derive(Debug, Default)]
struct Ring {
    added: u64,
    latest: Option<Instant>,
    events: VecDeque<Event>,
}

impl EventLog {
    #[allow(clippy::disallowed_methods, clippy::disallowed_types)] // As above.
    pub(crate) fn add(&self, gate: &str, policy: &str, change: Change, now: Instant) {
        let (gate, policy) = (gate.to_owned(), policy.to_owned());
        self.lock()
            .push(gate, policy, change, SystemTime::now(), now);
    }

    /// The events that are kept with a number above this one, oldest first.
    pub(crate) fn after(&self, number: u64) -> Vec<Event> {
        let ring = self.lock();
        // Numbers are consecutive, so the newer ones are at the end.
        let newer = ring
            .added
            .saturating_sub(number)
            .min(ring.events.len() as u64) as usize;
        ring.events
            .range(ring.events.len() - newer..)
            .cloned()
            .collect()
    }

    pub(crate) fn subscribe(&self, callback: impl Fn(&Event) + Send + Sync + 'static) {
        self.subscribers.add(std::sync::Arc::new(callback));
    }

    /// Passes the events after this number to the subscribers, outside of the lock, and returns the
    /// number of the last one.
    pub(crate) fn deliver(&self, after: u64, first: impl Fn(&Event)) -> u64 {
        let mut last = after;
        for event in self.after(after) {
            for _ in last + 1..event.number {
                self.missed.add();
            }
            last = event.number;
            // Telemetry that panics must not stop the watcher.
            _ = attempt(|| first(&event));
            self.subscribers.each(|subscriber| subscriber(&event));
        }
        last
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Ring> {
        // No code of the caller runs while it is held.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    #[allow(clippy::disallowed_types)] // As above.
    fn push(&mut self, gate: String, policy: String, change: Change, at: SystemTime, now: Instant) {
        // Two threads may have read the clock before either had the lock.
        let instant = self.latest.map_or(now, |latest| latest.max(now));
        self.latest = Some(instant);
        self.added += 1;
        if self.events.len() == MAX_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(Event {
            number: self.added,
            at,
            instant,
            gate,
            policy,
            change,
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use plimsoll_core::figures::LIMIT;

    use super::*;

    #[test]
    #[allow(clippy::disallowed_types)] // The test sets it.
    fn a_clock_that_is_set_back_reorders_no_events() {
        let (mut ring, start) = (Ring::default(), Instant::now());
        let wall = [1000, 400, 1001];
        let monotonic = [0, 5, 3];
        for (wall, monotonic) in wall.into_iter().zip(monotonic) {
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(wall);
            let now = start + Duration::from_secs(monotonic);
            let change = Change::new(&LIMIT, 1.0, 2.0, "test");
            ring.push("gate".into(), "policy".into(), change, at, now);
        }
        let numbers: Vec<_> = ring.events.iter().map(|event| event.number).collect();
        assert_eq!(numbers, [1, 2, 3]);
        assert!(ring.events.iter().is_sorted_by_key(|event| event.instant));
        assert!(!ring.events.iter().is_sorted_by_key(|event| event.at));
    }
}
