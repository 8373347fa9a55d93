//! The queue as the lock guards it: whose turn it is, and what becomes of whom.

pub(crate) mod codel;
mod order;
mod ranked;

use std::{task::Waker, time::Duration};

use plimsoll_core::{Asked, Deadline, Ticket};
use tokio::time::Instant;

pub use self::order::Order;
use self::{
    codel::{Codel, Control},
    ranked::Ranked,
};

/// How long a queue without a controlled delay has not been empty when it counts as congested: folly's interval.
const INTERVAL: Duration = Duration::from_millis(100);

/// One that waits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waiter {
    joined: Instant,
    deadline: Option<Deadline>,
    /// When half the time that it may wait is over.
    half_way: Instant,
    answer: Answer,
}

/// What became of one that waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// A slot is its own.
    Granted,
    /// One of a higher priority took its place.
    PushedOut,
    /// It was its turn, but it had waited for longer than the controlled delay allows.
    Overdue,
    /// It was its turn, but it could not have been served before its deadline.
    TooLate,
}

/// The settings that a turn depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) order: Order,
    pub(crate) control: Option<Control>,
    /// How long the service may take; zero when that is not known.
    pub(crate) service_time: Duration,
}

/// Those who wait, and those who were answered and have not yet heard of it.
#[derive(Debug)]
pub(crate) struct Queue {
    waiters: Ranked<Waiter>,
    codel: Codel,
    /// When somebody joined it while it was empty.
    standing_since: Option<Instant>,
    /// The latest moment it was told of.
    latest: Option<Instant>,
    /// Those who were refused and have not yet heard of it.
    unpolled: u32,
}

impl Waiter {
    pub(crate) fn new(joined: Instant, deadline: Option<Deadline>) -> Self {
        Self {
            joined,
            deadline,
            half_way: joined,
            answer: Answer::Granted,
        }
    }

    /// It waits until then at the longest.
    pub(crate) fn until(self, end: Instant) -> Self {
        let half = end.saturating_duration_since(self.joined) / 2;
        Self {
            half_way: self.joined + half,
            ..self
        }
    }
}

/// Whether a request with this deadline, started now, would be late.
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
            standing_since: None,
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

    /// The lowest level that has anybody.
    pub(crate) fn lowest(&self) -> Option<u16> {
        self.waiters.lowest()
    }

    pub(crate) fn unpolled(&self) -> u32 {
        self.unpolled
    }

    pub(crate) fn join(&mut self, level: u16, waiter: Waiter) -> Ticket {
        if self.waiters.is_empty() {
            self.standing_since = Some(waiter.joined);
        }
        self.latest = self.latest.max(Some(waiter.joined));
        self.waiters.join(level, waiter)
    }

    /// A slot is free at `now`, or at the last moment that was heard of: whose it would be, and whether it gets it.
    pub(crate) fn next(&mut self, now: Option<Instant>, rules: &Rules) -> Option<(Ticket, Answer)> {
        self.latest = self.latest.max(now);
        let now = now.or(self.latest)?;
        let ticket = self.whose_turn(now, rules)?;
        let &mut Waiter {
            joined, deadline, ..
        } = self.waiters.value(ticket)?;
        if misses_deadline(deadline, now, rules.service_time) {
            return Some((ticket, Answer::TooLate));
        }
        if let Some(control) = rules.control {
            // The delay of the oldest, which is independent of the order: of those served newest first, or by priority,
            // somebody has always just come.
            let oldest = self.waiters.oldest().map_or(joined, |oldest| oldest.joined);
            let standing = now.saturating_duration_since(oldest);
            let delay = now.saturating_duration_since(joined);
            if self.codel.refuses(control, standing, delay, now) {
                return Some((ticket, Answer::Overdue));
            }
        }
        Some((ticket, Answer::Granted))
    }

    /// One of the highest criticality. While others would make room for it, and the first of it has not waited for half
    /// its time, its backlog is a passing one: all of it can be served, if nobody has to wait to its end. So whoever came
    /// first, whatever the cohort. Otherwise a part of it is lost, and that is for cohorts to choose.
    fn whose_turn(&mut self, now: Instant, rules: &Rules) -> Option<Ticket> {
        let level = self.waiters.highest()?;
        if rules.order.newest_first(self.is_congested(now, rules)) {
            return self.waiters.newest_of(level);
        }
        if !self.waiters.all_as_critical_as(level) {
            let oldest = self.waiters.oldest_as_critical_as(level)?;
            if now < self.waiters.value(oldest)?.half_way {
                return Some(oldest);
            }
        }
        self.waiters.oldest_of(level)
    }

    fn is_congested(&self, now: Instant, rules: &Rules) -> bool {
        let interval = rules.control.map_or(INTERVAL, |control| control.interval);
        self.standing_since
            .is_some_and(|since| now.saturating_duration_since(since) >= interval)
    }

    /// Takes one that waits out of the queue, to be told this, and returns its waker.
    pub(crate) fn answer(&mut self, ticket: Ticket, answer: Answer) -> Option<Waker> {
        if let Some(waiter) = self.waiters.value(ticket) {
            waiter.answer = answer;
        }
        if answer != Answer::Granted {
            self.unpolled += 1;
        }
        let waker = self.waiters.answer(ticket);
        self.note_emptiness();
        waker
    }

    /// Refuses the newest of the lowest level.
    pub(crate) fn push_out(&mut self) -> Option<Waker> {
        let newest = self.waiters.newest_of(self.waiters.lowest()?)?;
        self.answer(newest, Answer::PushedOut)
    }

    pub(crate) fn ask(
        &mut self,
        ticket: Ticket,
        waker: &Waker,
        clone: &mut Option<Waker>,
    ) -> Asked {
        self.waiters.ask(ticket, waker, clone)
    }

    /// Forgets one, whatever became of it: what it was answered, if it was, and its waker.
    pub(crate) fn remove(&mut self, ticket: Ticket) -> Option<(Option<Answer>, Option<Waker>)> {
        let left = self.waiters.remove(ticket)?;
        if !left.granted {
            self.note_emptiness();
            return Some((None, left.waker));
        }
        let answer = left.value.value.answer;
        if answer != Answer::Granted {
            self.unpolled -= 1;
        }
        Some((Some(answer), left.waker))
    }

    fn note_emptiness(&mut self) {
        if self.waiters.is_empty() {
            self.codel.emptied();
        }
    }
}
