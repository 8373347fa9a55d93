//! The state of a bucket, shared by threads: departures, the queue, and revoked departures.
//!
//! # The protocol
//!
//! - While the queue is empty, a request departs by one compare-and-swap of the word. It fails
//!   while requests are queued, so no request overtakes the queue.
//! - A request that arrives too early takes the lock and marks the word by a compare-and-swap. From
//!   then on the word is changed under the lock only, until the queue is empty again.
//! - Every arrival and every timer grants all departures that are due ([`State::advance`]), at the
//!   times of the schedule, not at the time of the wake-up.
//! - Each waiter has its own timer, set to the departure computed on arrival. While no waiter
//!   leaves early, that time is exact. After one has (`moved`), each waiter is woken when it
//!   becomes the first, and resets its timer. So there is one wake-up per departure, and a task
//!   that is not polled does not delay others.
//!
//! No caller's waker is woken, cloned or dropped while the lock is held.

mod queue;

use std::{
    sync::{
        Arc, PoisonError,
        atomic::Ordering::{AcqRel, Acquire, Relaxed, Release},
    },
    task::Waker,
};

use plimsoll_core::policy::{Ticket, Waiters};

use super::{
    settings::Settings,
    word::{MAX_NOW, Word},
};
use crate::sync::{AtomicU64, Mutex, MutexGuard};

/// The state of one leaky bucket.
#[derive(Debug)]
pub(super) struct State {
    word: AtomicU64,
    /// Units in the queue, and its length, for readers without the lock. Written under the lock. A
    /// decrement is written before the word moves forward, so that an arrival never counts a
    /// departure twice.
    backlog: AtomicU64,
    waiting: AtomicU64,
    queue: Mutex<Queue>,
    pub(super) settings: Arc<Settings>,
}

#[derive(Debug)]
struct Queue {
    waiters: Waiters<Place>,
    /// Whether waiters' timers are out of date, since a waiter or a departure was removed.
    moved: bool,
}

#[derive(Debug, Clone, Copy)]
enum Place {
    Waiting { units: u32 },
    Departed(Departure),
}

/// A departure, with what is needed to revoke it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Departure {
    /// The time on the schedule.
    slot: u64,
    /// The word after the departure, unmarked.
    after: Word,
}

/// The bounds for one request. Times in nanoseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) max_waiting: u64,
    pub(super) max_wait: u64,
    pub(super) deadline: Option<u64>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Joined {
    /// The request can depart at once after all.
    Departed(Departure),
    Waiting {
        ticket: Ticket,
        turn: u64,
    },
    /// The queue is full. There is room in this many nanoseconds.
    NoRoom(u64),
    /// The request's deadline is before its departure.
    PastDeadline,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Now(Departure),
    /// It is the first in the queue and departs at this time.
    Next(u64),
    Later,
}

impl State {
    pub(super) fn new(settings: Arc<Settings>) -> Self {
        Self {
            word: AtomicU64::new(0),
            backlog: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
            queue: Mutex::new(Queue {
                waiters: Waiters::new(),
                moved: false,
            }),
            settings,
        }
    }

    /// Departs at once, if the queue is empty and the departure is due.
    #[inline]
    pub(super) fn enter(&self, units: u32, now: u64) -> Option<Departure> {
        let (generation, [interval, count]) = self.settings.rate.read();
        let word = self.word();
        if word.has_waiters() || now < word.time() || u64::from(units) > count {
            return None;
        }
        self.depart(word, units, interval, generation, now)
    }

    #[inline]
    fn depart(
        &self,
        word: Word,
        units: u32,
        interval: u64,
        generation: u64,
        now: u64,
    ) -> Option<Departure> {
        let after = Word::new(now + u64::from(units) * interval, generation);
        self.replace(word, after)
            .then_some(Departure { slot: now, after })
    }

    /// Nanoseconds until a full queue has room. Reads without the lock.
    pub(super) fn wait_for_room(&self, bounds: Bounds, now: u64) -> Option<u64> {
        let (generation, [interval]) = self.settings.rate.read();
        // The word first, then the queue behind it.
        let word = self.word();
        if !word.is_of(generation) || now >= word.time() {
            return None;
        }
        let backlog = self.backlog.load(Acquire);
        wait_for_room(word, backlog, interval, self.waiting(), bounds, now)
    }

    /// Grants all departures that are due, and applies a changed rate.
    pub(super) fn advance(&self, now: u64) {
        loop {
            let (generation, [interval]) = self.settings.rate.read();
            let due = |word: Word| word.has_waiters() && word.time() <= now;
            if self.word().is_of(generation) && !due(self.word()) {
                return;
            }
            let mut queue = self.lock();
            let word = self.word();
            let (granted, next) = if !word.is_of(generation) {
                let adopted = word.adopted(&self.settings.rate, generation, now);
                if !self.replace(word, adopted) {
                    continue;
                }
                queue.moved = word.has_waiters();
                (None, queue.waiters.first_waker())
            } else if due(word) {
                self.grant_first(&mut queue, word, interval)
            } else {
                return;
            };
            drop(queue);
            [granted, next].into_iter().flatten().for_each(Waker::wake);
        }
    }

    /// Revokes a departure. If it was the latest one, the next request may take its time.
    ///
    /// Departures after it keep their times.
    pub(super) fn revoke(&self, departure: Departure, now: u64) {
        let Departure { slot, after } = departure;
        loop {
            let word = self.word();
            if word.marked(false) != after {
                return;
            }
            if !word.has_waiters() {
                if self.replace(word, word.at(slot)) {
                    return;
                }
                continue;
            }
            let mut queue = self.lock();
            if self.word() != word {
                continue;
            }
            // Not in the past: otherwise the departure after it would follow too soon.
            let time = slot.max(now).min(word.time());
            self.word.store(word.at(time).0, Release);
            queue.moved = true;
            let first = queue.waiters.first_waker();
            drop(queue);
            if let Some(first) = first {
                first.wake();
            }
            return self.advance(now);
        }
    }

    /// Wakes the first waiter after a change of the rate, so that it resets its timer.
    pub(super) fn wake_first(&self) {
        let first = self.lock().waiters.first_waker();
        if let Some(first) = first {
            first.wake();
        }
    }

    /// When a request that arrives now would depart.
    pub(super) fn departs_at(&self, now: u64) -> u64 {
        let (generation, [interval]) = self.settings.rate.read();
        let word = self.word();
        let word = if word.is_of(generation) {
            word
        } else {
            word.adopted(&self.settings.rate, generation, now)
        };
        departs_at(word, self.backlog(), interval).max(now)
    }

    pub(super) fn waiting(&self) -> u64 {
        self.waiting.load(Relaxed)
    }

    /// Units in the queue.
    pub(super) fn backlog(&self) -> u64 {
        self.backlog.load(Relaxed)
    }

    /// Resets the schedule and frees the queue's memory. No request is queued or running.
    pub(super) fn reset(&self) {
        let mut queue = self.lock();
        if queue.waiters.is_empty() {
            queue.waiters = Waiters::new();
            self.word.store(0, Release);
        }
    }

    #[inline]
    fn word(&self) -> Word {
        Word(self.word.load(Acquire))
    }

    #[inline]
    fn replace(&self, word: Word, next: Word) -> bool {
        self.word
            .compare_exchange(word.0, next.0, AcqRel, Relaxed)
            .is_ok()
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Nothing panics under this lock; a poisoned queue is still consistent.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When a request that joins behind this backlog departs.
fn departs_at(word: Word, backlog: u64, interval: u64) -> u64 {
    word.time().saturating_add(backlog.saturating_mul(interval))
}

/// Nanoseconds until a request can be queued within its bounds. `None` when it can be now.
fn wait_for_room(
    word: Word,
    backlog: u64,
    interval: u64,
    waiting: u64,
    bounds: Bounds,
    now: u64,
) -> Option<u64> {
    let wait = departs_at(word, backlog, interval).saturating_sub(now);
    let too_long = wait.saturating_sub(bounds.max_wait);
    let no_place = if waiting >= bounds.max_waiting {
        // The first waiter leaves its place at the next departure.
        word.time().saturating_sub(now).max(1)
    } else {
        0
    };
    Some(too_long.max(no_place)).filter(|wait| *wait > 0)
}

/// Limits a time to what the word can hold.
pub(super) fn clamped(now: u64) -> u64 {
    now.min(MAX_NOW)
}

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod tests;
