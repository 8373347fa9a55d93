//! The bucket among threads: how a request leaves, waits, moves up and gives its departure back.
//!
//! # The protocol
//!
//! - With nobody waiting, a request leaves by one compare-and-swap of the word, which fails while anybody waits: nobody
//!   passes the queue.
//! - One that comes too early takes the lock and marks the word by a compare-and-swap. From then on the word is changed under
//!   the lock alone, until the last one leaves the queue.
//! - Whoever comes by, because its timer fired or because it is new, lets all those leave whose time has come
//!   ([`State::advance`]). They leave at the times of the schedule, not at the time of the wake-up.
//! - Everybody in the queue has a timer of its own, set for the turn it was told when it joined. As long as nobody gives
//!   up, that is when its turn comes. Once somebody did (`moved`), each is woken when it becomes the first, to set
//!   its timer anew. So one wake-up per departure is all it takes, and a task that is not polled holds up nobody.
//!
//! Nothing is woken, cloned or dropped that belongs to a caller while the lock is held.

use std::{
    sync::{
        Arc, PoisonError,
        atomic::Ordering::{AcqRel, Acquire, Relaxed, Release},
    },
    task::Waker,
};

use plimsoll_core::{Asked, Left, Ticket, Waiters};

use super::{
    settings::Settings,
    word::{MAX_NOW, Word},
};
use crate::sync::{AtomicU64, Mutex, MutexGuard};

/// One leaky bucket at work.
#[derive(Debug)]
pub(super) struct State {
    word: AtomicU64,
    /// Units of those who wait, and their number, for those who look without the lock. Written under it; what is taken
    /// off is written before the word is moved on, so that a newcomer never counts a departure twice.
    backlog: AtomicU64,
    waiting: AtomicU64,
    queue: Mutex<Queue>,
    pub(super) settings: Arc<Settings>,
}

#[derive(Debug)]
struct Queue {
    waiters: Waiters<Place>,
    /// The turns that were told at joining are no longer true.
    moved: bool,
}

#[derive(Debug, Clone, Copy)]
enum Place {
    Waiting { units: u32 },
    Left(Departure),
}

/// A departure, with what is needed to give it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Departure {
    /// When, by the schedule.
    slot: u64,
    /// The word that it led to, unmarked.
    after: Word,
}

/// What one request may ask for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) max_waiting: u64,
    pub(super) max_wait: u64,
    pub(super) deadline: Option<u64>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Joined {
    /// It had not to wait after all.
    Departed(Departure),
    Waiting {
        ticket: Ticket,
        turn: u64,
    },
    /// There is room in so many nanoseconds.
    NoRoom(u64),
    /// Its deadline comes before its turn.
    Late,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Now(Departure),
    /// The next one; at this moment.
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

    /// Leaves at once, if the bucket is empty.
    #[inline]
    pub(super) fn enter(&self, units: u32, now: u64) -> Option<Departure> {
        let (generation, [interval, count]) = self.settings.rate.read();
        let word = self.word();
        if word.somebody_waits() || now < word.time() || u64::from(units) > count {
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

    /// Without the lock: how long until there is room for one more, if there is none.
    pub(super) fn no_room(&self, bounds: Bounds, now: u64) -> Option<u64> {
        let (generation, [interval]) = self.settings.rate.read();
        // First the word, then what stands behind it.
        let word = self.word();
        if !word.is_of(generation) || now >= word.time() {
            return None;
        }
        let backlog = self.backlog.load(Acquire);
        no_room(word, backlog, interval, self.waiting(), bounds, now)
    }

    /// Leaves, or takes a place in the queue.
    pub(super) fn join(&self, units: u32, bounds: Bounds, now: u64) -> Joined {
        loop {
            self.advance(now);
            let mut queue = self.lock();
            let (generation, [interval]) = self.settings.rate.read();
            let word = self.word();
            if !word.is_of(generation) {
                continue;
            }
            if !word.somebody_waits() && word.time() <= now {
                match self.depart(word, units, interval, generation, now) {
                    Some(departure) => return Joined::Departed(departure),
                    None => continue,
                }
            }
            let backlog = self.backlog.load(Relaxed);
            let waiting = queue.waiters.len().into();
            if let Some(wait) = no_room(word, backlog, interval, waiting, bounds, now) {
                return Joined::NoRoom(wait);
            }
            let turn = turn(word, backlog, interval);
            if bounds.deadline.is_some_and(|at| at <= turn) {
                return Joined::Late;
            }
            if !word.somebody_waits() && !self.replace(word, word.marked(true)) {
                continue;
            }
            let ticket = queue.waiters.join(Place::Waiting { units });
            self.backlog.store(backlog + u64::from(units), Release);
            self.waiting.store(waiting + 1, Relaxed);
            return Joined::Waiting { ticket, turn };
        }
    }

    /// Lets all those leave whose time has come, and takes over a changed rate.
    pub(super) fn advance(&self, now: u64) {
        loop {
            let (generation, [interval]) = self.settings.rate.read();
            let due = |word: Word| word.somebody_waits() && word.time() <= now;
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
                queue.moved = word.somebody_waits();
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

    /// Under the lock, and only while somebody waits: the first one leaves. Its waker, and that of the next, if it has to
    /// look again.
    fn grant_first(
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
            Place::Left(_) => 0,
        };
        let slot = word.time();
        let after = word.at(slot + units * interval).marked(false);
        *place = Place::Left(Departure { slot, after });
        let granted = queue.waiters.grant_first();
        let next = if queue.moved {
            queue.waiters.first_waker()
        } else {
            None
        };
        self.left(queue, units);
        let waiting = !queue.waiters.is_empty();
        self.word.store(after.marked(waiting).0, Release);
        (granted, next)
    }

    /// Whether it is this waiter's turn. If so its place is given up; otherwise `waker` is woken when it is to ask
    /// again before the time it knows.
    pub(super) fn ask(&self, ticket: Ticket, waker: &Waker) -> Turn {
        let mut clone = None;
        loop {
            let mut queue = self.lock();
            let asked = queue.waiters.ask(ticket, waker, &mut clone);
            let turn = match asked {
                Asked::Granted => match queue.waiters.remove(ticket).map(|left| left.value) {
                    Some(Place::Left(departure)) => Turn::Now(departure),
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

    /// Ends a wait; those behind it move up. Its departure, if it had been granted one.
    pub(super) fn withdraw(&self, ticket: Ticket) -> Option<Departure> {
        let mut queue = self.lock();
        let was_first = queue.waiters.is_first(ticket);
        let Left { value, waker, .. } = queue.waiters.remove(ticket)?;
        let units = match value {
            Place::Left(departure) => return Some(departure),
            Place::Waiting { units } => u64::from(units),
        };
        queue.moved = true;
        self.left(&mut queue, units);
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

    /// Under the lock: one is no longer in the queue.
    fn left(&self, queue: &mut Queue, units: u64) {
        let backlog = self.backlog.load(Relaxed);
        self.backlog.store(backlog - units, Release);
        self.waiting.store(queue.waiters.len().into(), Relaxed);
        queue.moved &= !queue.waiters.is_empty();
    }

    /// A departure that did not take place. If it was the latest, the next one may leave as if it had not been; others
    /// that left after it have left in their own time already.
    pub(super) fn give_back(&self, departure: Departure, now: u64) {
        let Departure { slot, after } = departure;
        loop {
            let word = self.word();
            if word.marked(false) != after {
                return;
            }
            if !word.somebody_waits() {
                if self.replace(word, word.at(slot)) {
                    return;
                }
                continue;
            }
            let mut queue = self.lock();
            if self.word() != word {
                continue;
            }
            // Not at a time gone by: the one after it would follow too soon.
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

    /// Makes the first in the queue look again: the rate has changed.
    pub(super) fn rouse(&self) {
        let first = self.lock().waiters.first_waker();
        if let Some(first) = first {
            first.wake();
        }
    }

    /// When a request that came now would leave.
    pub(super) fn turn(&self, now: u64) -> u64 {
        let (generation, [interval]) = self.settings.rate.read();
        let word = self.word();
        let word = if word.is_of(generation) {
            word
        } else {
            word.adopted(&self.settings.rate, generation, now)
        };
        turn(word, self.backlog(), interval).max(now)
    }

    pub(super) fn waiting(&self) -> u64 {
        self.waiting.load(Relaxed)
    }

    /// Units of those who wait.
    pub(super) fn backlog(&self) -> u64 {
        self.backlog.load(Relaxed)
    }

    /// Starts over, with the queue's memory given back. Nobody waits and nobody has just left.
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
        // Nothing panics while it is held; a poisoned one would be as good.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When one more would leave that joined behind this backlog.
fn turn(word: Word, backlog: u64, interval: u64) -> u64 {
    word.time().saturating_add(backlog.saturating_mul(interval))
}

/// How long until one more has a place and need not wait too long, if it has none now or would have to.
fn no_room(
    word: Word,
    backlog: u64,
    interval: u64,
    waiting: u64,
    bounds: Bounds,
    now: u64,
) -> Option<u64> {
    let wait = turn(word, backlog, interval).saturating_sub(now);
    let too_long = wait.saturating_sub(bounds.max_wait);
    let no_place = if waiting >= bounds.max_waiting {
        // The first one leaves its place at the next departure.
        word.time().saturating_sub(now).max(1)
    } else {
        0
    };
    Some(too_long.max(no_place)).filter(|wait| *wait > 0)
}

/// The moment as the word can hold it.
pub(super) fn readable(now: u64) -> u64 {
    now.min(MAX_NOW)
}

#[cfg(all(test, loom))]
mod loom_tests;
