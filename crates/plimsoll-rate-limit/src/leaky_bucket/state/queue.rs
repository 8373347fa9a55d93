//! The queue of a bucket: waiters that join, are granted their departure, or leave early.

use std::{
    sync::atomic::Ordering::{Relaxed, Release},
    task::Waker,
};

use plimsoll_core::policy::{Asked, Left, Ticket};

use super::{Bounds, Departure, Joined, Place, Queue, State, Turn, departs_at, wait_for_room};
use crate::leaky_bucket::word::Word;

impl State {
    /// Departs, or enters the queue.
    pub(in crate::leaky_bucket) fn join(&self, units: u32, bounds: Bounds, now: u64) -> Joined {
        loop {
            self.advance(now);
            let mut queue = self.lock();
            let (generation, [interval]) = self.settings.rate.read();
            let word = self.word();
            if !word.is_of(generation) {
                continue;
            }
            if !word.has_waiters() && word.time() <= now {
                match self.depart(word, units, interval, generation, now) {
                    Some(departure) => return Joined::Departed(departure),
                    None => continue,
                }
            }
            let backlog = self.backlog.load(Relaxed);
            let waiting = queue.waiters.len().into();
            if let Some(wait) = wait_for_room(word, backlog, interval, waiting, bounds, now) {
                return Joined::NoRoom(wait);
            }
            let turn = departs_at(word, backlog, interval);
            if bounds.deadline.is_some_and(|at| at <= turn) {
                return Joined::PastDeadline;
            }
            if !word.has_waiters() && !self.replace(word, word.marked(true)) {
                continue;
            }
            let ticket = queue.waiters.join(Place::Waiting { units });
            self.backlog.store(backlog + u64::from(units), Release);
            self.waiting.store(waiting + 1, Relaxed);
            return Joined::Waiting { ticket, turn };
        }
    }

    /// Grants the first waiter its departure. Returns its waker, and that of the next waiter if its
    /// timer is out of date.
    ///
    /// Called under the lock, with a queue that is not empty.
    pub(super) fn grant_first(
        &self,
        queue: &mut Queue,
        word: Word,
        interval: u64,
    ) -> (Option<Waker>, Option<Waker>) {
        let Some(place) = queue.waiters.first() else {
            return (None, None);
        };
        let units = match *place {
            Place::Waiting { units } => u64::from(units),
            Place::Departed(_) => 0,
        };
        let slot = word.time();
        let after = word.at(slot + units * interval).marked(false);
        *place = Place::Departed(Departure { slot, after });
        let granted = queue.waiters.grant_first();
        let next = if queue.moved {
            queue.waiters.first_waker()
        } else {
            None
        };
        self.update_counts(queue, units);
        let waiting = !queue.waiters.is_empty();
        self.word.store(after.marked(waiting).0, Release);
        (granted, next)
    }

    /// Asks whether the waiter may depart. If so, it leaves the queue. Otherwise `waker` is woken
    /// if its timer gets out of date.
    pub(in crate::leaky_bucket) fn ask(&self, ticket: Ticket, waker: &Waker) -> Turn {
        let mut clone = None;
        loop {
            let mut queue = self.lock();
            let asked = queue.waiters.ask(ticket, waker, &mut clone);
            let turn = match asked {
                Asked::Granted => match queue.waiters.remove(ticket).map(|left| left.value) {
                    Some(Place::Departed(departure)) => Turn::Now(departure),
                    Some(Place::Waiting { .. }) | None => Turn::Later,
                },
                Asked::Waiting(_) if queue.waiters.is_first(ticket) => {
                    Turn::Next(self.word().time())
                }
                Asked::Waiting(_) => Turn::Later,
                Asked::WakerPlease => {
                    drop(queue);
                    clone = Some(waker.clone());
                    continue;
                }
            };
            drop(queue); // before the waker that was replaced
            drop(asked);
            return turn;
        }
    }

    /// Removes a waiter; the waiters behind it move up. Returns its departure if it was granted
    /// one.
    pub(in crate::leaky_bucket) fn withdraw(&self, ticket: Ticket) -> Option<Departure> {
        let mut queue = self.lock();
        let was_first = queue.waiters.is_first(ticket);
        let Left { value, waker, .. } = queue.waiters.remove(ticket)?;
        let units = match value {
            Place::Departed(departure) => return Some(departure),
            Place::Waiting { units } => u64::from(units),
        };
        queue.moved = true;
        self.update_counts(&mut queue, units);
        if queue.waiters.is_empty() {
            self.word.store(self.word().marked(false).0, Release);
        }
        let next = if was_first {
            queue.waiters.first_waker()
        } else {
            None
        };
        drop(queue); // before the wakers
        drop(waker);
        if let Some(next) = next {
            next.wake();
        }
        None
    }

    /// Updates the counters after a waiter was removed. Called under the lock.
    fn update_counts(&self, queue: &mut Queue, units: u64) {
        let backlog = self.backlog.load(Relaxed);
        self.backlog.store(backlog - units, Release);
        self.waiting.store(queue.waiters.len().into(), Relaxed);
        queue.moved &= !queue.waiters.is_empty();
    }
}
