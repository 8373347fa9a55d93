//! Slots and queue together: how a request gets in, waits, and hands its slot on.
//!
//! # The protocol
//!
//! - A request takes a slot with one compare-and-swap, which fails while anybody waits: nobody passes the queue.
//! - One that finds no slot takes the lock, looks again, and marks the slots in the same atomic operation that saw them
//!   full. Every release after that sees the mark.
//! - A release that sees the mark takes the lock and gives free slots to those whose turn it is. The slot is theirs from
//!   then on, whether or not they have heard of it.
//! - A waiter is answered once, under the lock: it is given a slot, or refused because its time was over when its turn
//!   came, or because another pushed it out. Whichever was first holds.
//! - A waiter that leaves after it was given a slot releases it like any other.
//! - A new limit is stored first, and then slots are handed out under the lock: a waiter either read the new
//!   limit under the lock, or is in the queue when the lock is taken for it.
//!
//! Nothing is woken, cloned or dropped that belongs to a caller while the lock is held.

use std::{
    sync::{Arc, PoisonError, atomic::Ordering::Relaxed},
    task::Waker,
    time::Duration,
};

use plimsoll_core::{Asked, Class, Outcome, Priority, Ticket, WaitsOn, lanes};
use tokio::time::Instant;

use super::{
    average::Average,
    lanes::Lanes,
    settings::Settings,
    slots::{Before, Slots},
    stalls::{Stalls, Stamp},
};
use crate::{
    control::sampler::{Closed, Route},
    queue::{Answer, Queue, Waiter},
    sync::{AtomicU32, Mutex, MutexGuard},
};

/// The hint while nothing was measured and nothing was set. A longer estimate fades to it.
const DEFAULT_HINT: Duration = Duration::from_secs(1);
const LEVELS: u32 = Priority::LEVELS as u32;
/// So many who were refused may not yet have heard of it before nobody joins any more; in a longer queue, as many as its
/// length. Tasks that are woken soon hear; a future that is kept and not polled never does.
const UNHEARD: u32 = 1024;

/// One limit at work: its slots, its queue, and the settings it perhaps shares with others.
#[derive(Debug)]
pub(crate) struct State {
    slots: Slots,
    /// Permits that wait for their caller.
    stalls: Stalls,
    /// The queue's length and its lowest level, for those who look without the lock: they see a pair that was.
    outline: AtomicU32,
    /// How long a request holds its slot while all are taken, each at most for the longest hint.
    hold: Average,
    queue: Mutex<Queue>,
    /// Whether there is a sampler: each call asks, more than once.
    pub(crate) samples: bool,
    pub(crate) settings: Arc<Settings>,
}

/// What became of a request that found no slot at first.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Queued {
    /// There was one after all.
    Entered,
    /// It waits.
    Waiting(Ticket),
    /// No room in the queue either.
    Full,
}

impl State {
    pub(crate) fn new(settings: Arc<Settings>) -> Self {
        Self {
            slots: Slots::new(),
            stalls: Stalls::new(),
            outline: AtomicU32::new(0),
            hold: Average::new(),
            queue: Mutex::new(Queue::new()),
            samples: settings.sampler.is_some(),
            settings,
        }
    }

    /// Takes a slot, if one is free and nobody waits for it.
    #[inline]
    pub(crate) fn enter(&self) -> bool {
        self.slots.enter(self.settings.limit())
    }

    /// Gives a slot back, or on to the one whose turn it is.
    #[inline]
    pub(crate) fn leave(&self, now: Instant) {
        if self.slots.leave().somebody_waits() {
            self.hand_out(Some(now));
        }
    }

    /// As [`leave`](Self::leave), after a call whose end and duration are asked for, at the price of a clock read, only
    /// when the limit was used up: that is when somebody may be told to come back.
    #[inline]
    pub(crate) fn leave_after(&self, outcome: &Outcome) -> Before {
        let before = self.slots.leave();
        let limit = self.settings.limit();
        if before.may_have_been_full(limit) {
            self.left_a_full_one(before, limit, outcome);
        }
        before
    }

    #[cold]
    #[inline(never)]
    fn left_a_full_one(&self, before: Before, limit: u32, outcome: &Outcome) {
        if before.was_full(limit) {
            // Before the next is asked whether it has the time. A fast failure is no fast success.
            let now = self.settings.nanos(outcome.ended());
            if self.samples && matches!(outcome.class, Class::Success | Class::Cancelled) {
                let cut_off = outcome.class == Class::Cancelled;
                self.settings.took(outcome.latency(), cut_off, now);
            }
            if before.somebody_waits() {
                self.hand_out(Some(outcome.ended()));
            }
            // A call that an inner gate rejected says nothing of how long slots are held.
            if outcome.class != Class::Rejected {
                let ran = outcome.ran().min(self.settings.max_retry_after());
                self.hold.take(ran, now);
            }
        }
    }

    /// As [`leave_after`](Self::leave_after), and has the limit moved when it is time. Apart, so that one that stays where
    /// it was set does without.
    #[inline(never)]
    pub(crate) fn leave_sampled(&self, outcome: &Outcome, route: Option<&Route>) {
        let limit = self.settings.limit();
        let before = self.leave_after(outcome);
        let Some(sampler) = &self.settings.sampler else {
            return;
        };
        let in_flight = || {
            let exact = before.in_flight();
            exact.unwrap_or_else(|| sampler.lately_in_flight(|| self.in_flight() + 1))
        };
        if let Some(now) = sampler.count(outcome, in_flight, route)
            && let Some(closed) = sampler.close(now, limit, || self.settings.rejected())
        {
            self.moved(&closed, now);
        }
    }

    /// The permit's response waits for its caller, or for the service.
    #[inline]
    #[must_use]
    pub(crate) fn body_waits(&self, stamp: Stamp, on: WaitsOn) -> Stamp {
        self.stalls.body_waits(stamp, on)
    }

    /// The call of this permit is over: whether it still holds its slot, and has to release it.
    #[inline]
    #[must_use]
    pub(crate) fn holds_slot(&self, stamp: Stamp) -> bool {
        let lanes_pay = || Lanes::pay(lanes(), self.settings.limit());
        self.stalls.end(stamp, lanes_pay)
    }

    /// Reclaims the slots of responses that were not read for the longest stall, and hands them on.
    /// Returns whether there were any. Called where the limit is full at `now`.
    #[inline(never)]
    pub(crate) fn reclaim(&self, now: Instant) -> bool {
        let Some(longest) = self.settings.max_stall() else {
            return false;
        };
        let slots = self.stalls.reclaim(self.settings.nanos(now), longest);
        if slots == 0 {
            return false;
        }
        self.settings.stalled.fetch_add(slots.into(), Relaxed);
        if self.slots.leave_all_of(slots).somebody_waits() {
            self.hand_out(Some(now));
        }
        true
    }

    /// When [`reclaim`](Self::reclaim) is next worth while.
    pub(crate) fn reclaims_at(&self) -> Option<Instant> {
        let longest = self.settings.max_stall()?;
        self.settings.instant(self.stalls.due(longest))
    }

    /// Whether there is no place in a queue of `len` for a request of this level, and nobody whom it could push out.
    /// Without the lock: the answer was true a moment ago, and [`enqueue`](Self::enqueue) asks again.
    pub(crate) fn is_full(&self, len: u32, level: u16) -> bool {
        let outline = self.outline.load(Relaxed);
        outline / LEVELS >= len && u32::from(level) <= outline % LEVELS
    }

    /// Takes a slot, or a place in a queue of at most `len`, if need be that of the newest of the lowest level.
    pub(crate) fn enqueue(&self, len: u32, level: u16, waiter: Waiter) -> Queued {
        let mut queue = self.lock();
        // Those who were refused and have not yet heard of it take memory, too.
        if queue.unheard() >= len.max(UNHEARD) {
            return Queued::Full;
        }
        let full = queue.len() >= len;
        if full && queue.lowest() >= Some(level) {
            return Queued::Full;
        }
        if queue.is_empty() && self.slots.enter_or_mark(self.settings.limit()) {
            return Queued::Entered;
        }
        let ticket = queue.join(level, waiter);
        let pushed_out = if full { queue.push_out() } else { None };
        self.outline(&queue);
        drop(queue); // before the waker
        if let Some(waker) = pushed_out {
            waker.wake();
        }
        Queued::Waiting(ticket)
    }

    /// Whether the waiter was answered; otherwise `waker` is woken when it is.
    pub(crate) fn ask(&self, ticket: Ticket, waker: &Waker) -> bool {
        let mut clone = None;
        loop {
            let asked = self.lock().ask(ticket, waker, &mut clone);
            match asked {
                Asked::Granted => return true,
                Asked::Waiting(_replaced) => return false,
                Asked::WakerPlease => clone = Some(waker.clone()),
            }
        }
    }

    /// Ends a wait with the answer it was given, if any. A slot is the caller's now.
    pub(crate) fn withdraw(&self, ticket: Ticket) -> Option<Answer> {
        let mut queue = self.lock();
        let (answer, waker) = queue.remove(ticket)?;
        if answer.is_none() {
            self.outline(&queue);
            if queue.is_empty() {
                self.slots.unmark();
            }
        }
        drop(queue); // before the waker
        drop(waker);
        answer
    }

    /// Gives free slots to those whose turn it is at `now`, and refuses those for whom it comes too late. Whoever knows
    /// no time means the last moment that the queue was told of.
    #[cold]
    pub(crate) fn hand_out(&self, now: Option<Instant>) {
        loop {
            let mut queue = self.lock();
            let limit = self.settings.limit();
            // While somebody waits nobody gets in but here: a slot that is free stays free.
            if self.slots.in_flight() >= limit {
                return;
            }
            let Some((ticket, answer)) = queue.next(now, &self.settings.rules()) else {
                return;
            };
            let last = queue.len() == 1;
            match answer {
                Answer::Granted if !self.slots.grant(limit, last) => return,
                Answer::Granted => {}
                _ if last => self.slots.unmark(),
                _ => {}
            }
            let waker = queue.answer(ticket, answer);
            self.outline(&queue);
            drop(queue);
            if let Some(waker) = waker {
                waker.wake();
            }
            if last || self.slots.in_flight() >= limit {
                return;
            }
        }
    }

    /// Applies what an algorithm decided. What is out of bounds is left as it was.
    pub(crate) fn moved(&self, closed: &Closed, now: Instant) {
        let change = closed.change;
        if let Some((len, wait)) = change.queue {
            _ = self.settings.set_queue(len as usize, wait);
        }
        self.settings.measured(closed.p90, closed.p99);
        let limit = change.limit as usize;
        let moved = self
            .settings
            .change_limit(change.reason, |value| value.move_to(limit));
        if moved.is_ok() {
            self.hand_out(Some(now));
        }
    }

    /// When it is worth coming back: when those who are in now, queued ones included, will have been served.
    /// Without `now`, it is that of the last call that was measured.
    pub(crate) fn retry_after(&self, now: Option<Instant>) -> Duration {
        if let Some(stated) = self.settings.retry_after() {
            return stated;
        }
        let max = self.settings.max_retry_after();
        let hint = match self.hold.nanos() {
            0 => DEFAULT_HINT,
            hold => {
                let ahead = u64::from(self.in_flight()) + u64::from(self.queued());
                let served = hold.saturating_mul(ahead) / u64::from(self.settings.limit());
                Duration::from_nanos(served.max(1))
            }
        };
        match now {
            Some(now) if hint > DEFAULT_HINT => self.faded(hint.min(max), now),
            _ => hint.min(max),
        }
    }

    /// Where no call was measured for long, the limit was not used up: what made the estimate long may be over.
    #[cold]
    fn faded(&self, hint: Duration, now: Instant) -> Duration {
        let (hint, rest) = (hint.as_nanos() as u64, DEFAULT_HINT.as_nanos() as u64);
        Duration::from_nanos(self.hold.faded(hint, rest, self.settings.nanos(now)))
    }

    #[inline]
    pub(crate) fn in_flight(&self) -> u32 {
        self.slots.in_flight()
    }

    #[inline]
    pub(crate) fn queued(&self) -> u32 {
        self.outline.load(Relaxed) / LEVELS
    }

    /// The moving average of the time a slot is held; zero before the first.
    pub(crate) fn hold(&self) -> Duration {
        Duration::from_nanos(self.hold.nanos())
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.slots.is_idle()
    }

    /// Starts over, with the queue's memory given back. Nobody is in flight and nobody waits.
    pub(crate) fn reset(&self) {
        self.hold.reset();
        let mut queue = self.lock();
        if queue.is_empty() && queue.unheard() == 0 && self.slots.is_idle() {
            *queue = Queue::new();
        }
    }

    /// Notes what others may see of the queue. Under its lock.
    fn outline(&self, queue: &Queue) {
        let lowest = u32::from(queue.lowest().unwrap_or(0));
        // A length of 2^20 and 512 levels are 30 bits.
        self.outline.store(queue.len() * LEVELS + lowest, Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Nothing panics while it is held; a poisoned one would be as good.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
