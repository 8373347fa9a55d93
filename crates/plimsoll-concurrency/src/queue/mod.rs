//! The queue behind the lock: which waiter is next, and its answer.

pub(crate) mod codel;
mod order;
mod ranked;

use std::{task::Waker, time::Duration};

use plimsoll_core::{
    Deadline,
    policy::{Asked, Ticket},
};
use tokio::time::Instant;

pub use self::order::Order;
use self::{
    codel::{Codel, Control},
    ranked::Ranked,
};

/// How long a queue without a controlled delay must not have been empty to count as congested: 100
/// ms, folly's interval. The tests in `order` fail with another value.
const INTERVAL: Duration = Duration::from_millis(100);

/// A queued request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waiter {
    joined: Instant,
    deadline: Option<Deadline>,
    /// When half of the time that it may wait has passed.
    half_time: Instant,
    answer: Answer,
}

/// The answer to a waiter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It owns a slot.
    Granted,
    /// It was evicted by a request of a higher priority.
    Evicted,
    /// It was next, but had waited longer than the controlled delay allows.
    Overdue,
    /// It was next, but could not have been served before its deadline.
    MissesDeadline,
}

/// The settings that decide which waiter is next.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) order: Order,
    pub(crate) control: Option<Control>,
    /// The service time to expect; zero when unknown.
    pub(crate) service_time: Duration,
}

/// The waiters, and the answered ones that have not been polled yet.
#[derive(Debug)]
pub(crate) struct Queue {
    waiters: Ranked<Waiter>,
    codel: Codel,
    /// When the queue last became non-empty.
    non_empty_since: Option<Instant>,
    /// The latest time that the queue was given.
    latest: Option<Instant>,
    /// Rejected waiters that have not been polled yet.
    unpolled: u32,
}

impl Waiter {
    pub(crate) fn new(joined: Instant, deadline: Option<Deadline>) -> Self {
        Self {
            joined,
            deadline,
            half_time: joined,
            answer: Answer::Granted,
        }
    }

    /// Sets the time at which the wait ends at the latest.
    pub(crate) fn until(self, end: Instant) -> Self {
        let half = end.saturating_duration_since(self.joined) / 2;
        Self {
            half_time: self.joined + half,
            ..self
        }
    }
}

/// Whether a request with this deadline would be late if it started now.
pub(crate) fn misses_deadline(
    deadline: Option<Deadline>,
    now: Instant,
    service_time: Duration,
) -> bool {
    deadline.is_some_and(|deadline| {
        let left = deadline.remaining(now);
        left.is_zero() || left < service_time
    })
}

impl Queue {
    pub(crate) fn new() -> Self {
        Self {
            waiters: Ranked::new(),
            codel: Codel::default(),
            non_empty_since: None,
            latest: None,
            unpolled: 0,
        }
    }

    pub(crate) fn len(&self) -> u32 {
        self.waiters.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    /// Returns the lowest level with a waiter.
    pub(crate) fn lowest(&self) -> Option<u16> {
        self.waiters.lowest()
    }

    pub(crate) fn unpolled(&self) -> u32 {
        self.unpolled
    }

    pub(crate) fn join(&mut self, level: u16, waiter: Waiter) -> Ticket {
        if self.waiters.is_empty() {
            self.non_empty_since = Some(waiter.joined);
        }
        self.latest = self.latest.max(Some(waiter.joined));
        self.waiters.join(level, waiter)
    }

    /// A slot is free at `now`, or at the latest known time. Returns the waiter that is next, and
    /// its answer.
    pub(crate) fn next(&mut self, now: Option<Instant>, rules: &Rules) -> Option<(Ticket, Answer)> {
        self.latest = self.latest.max(now);
        let now = now.or(self.latest)?;
        let ticket = self.next_waiter(now, rules)?;
        let &mut Waiter {
            joined, deadline, ..
        } = self.waiters.value(ticket)?;
        if misses_deadline(deadline, now, rules.service_time) {
            return Some((ticket, Answer::MissesDeadline));
        }
        if let Some(control) = rules.control {
            // The delay of the oldest waiter, which does not depend on the order: with priorities
            // or newest first, the waiter that is next has just arrived.
            let oldest = self.waiters.oldest().map_or(joined, |oldest| oldest.joined);
            let standing = now.saturating_duration_since(oldest);
            let delay = now.saturating_duration_since(joined);
            if self.codel.rejects(control, standing, delay, now) {
                return Some((ticket, Answer::Overdue));
            }
        }
        Some((ticket, Answer::Granted))
    }

    /// Returns the next waiter, one of the highest criticality.
    ///
    /// Its backlog is short while waiters of other criticalities could be evicted for it, and its
    /// oldest waiter has not waited for half its time. Then all of it can be served, if none waits
    /// to the end of its time, so the oldest is next, of whatever cohort. Once the backlog is not
    /// short, part of it will be lost, and the cohort decides which part.
    fn next_waiter(&mut self, now: Instant, rules: &Rules) -> Option<Ticket> {
        let level = self.waiters.highest()?;
        if rules.order.newest_first(self.is_congested(now, rules)) {
            return self.waiters.newest_of(level);
        }
        if !self.waiters.all_of_criticality(level) {
            let oldest = self.waiters.oldest_of_criticality(level)?;
            if now < self.waiters.value(oldest)?.half_time {
                return Some(oldest);
            }
        }
        self.waiters.oldest_of(level)
    }

    fn is_congested(&self, now: Instant, rules: &Rules) -> bool {
        let interval = rules.control.map_or(INTERVAL, |control| control.interval);
        self.non_empty_since
            .is_some_and(|since| now.saturating_duration_since(since) >= interval)
    }

    /// Takes a waiter out of the queue with this answer, and returns its waker.
    pub(crate) fn answer(&mut self, ticket: Ticket, answer: Answer) -> Option<Waker> {
        if let Some(waiter) = self.waiters.value(ticket) {
            waiter.answer = answer;
        }
        if answer != Answer::Granted {
            self.unpolled += 1;
        }
        let waker = self.waiters.answer(ticket);
        self.note_if_empty();
        waker
    }

    /// Evicts the newest waiter of the lowest level.
    pub(crate) fn evict(&mut self) -> Option<Waker> {
        let newest = self.waiters.newest_of(self.waiters.lowest()?)?;
        self.answer(newest, Answer::Evicted)
    }

    pub(crate) fn ask(
        &mut self,
        ticket: Ticket,
        waker: &Waker,
        clone: &mut Option<Waker>,
    ) -> Asked {
        self.waiters.ask(ticket, waker, clone)
    }

    /// Removes an entry, answered or not, and returns its answer, if any, and its waker.
    pub(crate) fn remove(&mut self, ticket: Ticket) -> Option<(Option<Answer>, Option<Waker>)> {
        let left = self.waiters.remove(ticket)?;
        if !left.granted {
            self.note_if_empty();
            return Some((None, left.waker));
        }
        let answer = left.value.value.answer;
        if answer != Answer::Granted {
            self.unpolled -= 1;
        }
        Some((Some(answer), left.waker))
    }

    fn note_if_empty(&mut self) {
        if self.waiters.is_empty() {
            self.codel.emptied();
        }
    }
}
