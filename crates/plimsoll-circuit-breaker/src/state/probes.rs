//! Probes: limited in number and time, and released when dropped.

use crate::{nanos::nanos, settings::Settings};

/// The place of a running probe.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    ticket: u16,
    /// From this time on the probe is overdue.
    overdue: u64,
}

/// The probes of a half-open breaker.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Probes {
    /// Running probes, at most [`MAX_PROBES`](crate::error::MAX_PROBES).
    places: Vec<Place>,
    /// The number of the next probe.
    next_ticket: u16,
    /// Probes that succeeded.
    succeeded: u32,
}

/// The decision on a request while half-open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Probe(u16),
    Full,
    /// A probe has taken `slow_call`: the breaker opens.
    Slow,
}

impl Probes {
    pub(super) const fn new() -> Self {
        Self {
            places: Vec::new(),
            next_ticket: 0,
            succeeded: 0,
        }
    }

    /// Starts a round without probes. Tickets continue, so that none is given out twice in a row.
    pub(super) fn clear(&mut self) {
        self.places.clear();
        self.succeeded = 0;
    }

    /// Gives a place to a probe, if one is free.
    pub(super) fn ask(&mut self, now: u64, rules: &Settings) -> Answer {
        let timeout = nanos(rules.probe_timeout);
        let slow = rules.slow_call.map_or(u64::MAX, nanos);
        let is_overdue = |place: &Place| now >= place.overdue;
        if slow <= timeout && self.places.iter().any(is_overdue) {
            return Answer::Slow;
        }
        // As in Polly: a hanging probe loses its place after a timeout. Its result still counts.
        self.places.retain(|place| !is_overdue(place));
        if self.places.len() >= rules.probes_at_a_time as usize {
            return Answer::Full;
        }
        let ticket = self.next_ticket;
        self.next_ticket = ticket.wrapping_add(1);
        let overdue = now.saturating_add(timeout.min(slow));
        self.places.push(Place { ticket, overdue });
        Answer::Probe(ticket)
    }

    /// Counts a success. Returns whether it was the last one needed.
    pub(super) fn succeed(&mut self, rules: &Settings) -> bool {
        self.succeeded += 1;
        self.succeeded >= rules.successes
    }

    /// Releases the place of a probe, if it still has one.
    pub(super) fn release(&mut self, ticket: u16) {
        self.places.retain(|place| place.ticket != ticket);
    }

    /// Probes that hold a place.
    pub(super) fn running(&self) -> usize {
        self.places.len()
    }

    /// The time before which no request is admitted unless a probe ends. 0 while a place is free.
    pub(super) fn not_before(&self, rules: &Settings) -> u64 {
        if self.places.len() < rules.probes_at_a_time as usize {
            return 0;
        }
        let overdue = self.places.iter().map(|place| place.overdue);
        overdue.min().unwrap_or(0)
    }
}
