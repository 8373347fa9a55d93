//! Slots and queue together: how a request is admitted, waits, and hands its slot over.
//!
//! # The protocol
//!
//! - A request takes a slot with one compare-and-swap. That fails while the queue has waiters, so
//!   no request overtakes the queue.
//! - A request that finds no slot takes the lock, looks again, and sets the mark in the same atomic
//!   operation that saw the slots full. Every later release sees the mark.
//! - A release that sees the mark takes the lock and grants free slots to the next waiters. The
//!   slot is theirs from then on, whether or not they have been polled.
//! - A waiter is answered once, under the lock: it is granted a slot, rejected because its time was
//!   over when its turn came, or evicted by a request of a higher priority. The first answer
//!   is final.
//! - A waiter that is cancelled after it was granted a slot releases that slot like any other.
//! - A new limit is stored first, and then waiters are admitted under the lock. So a waiter either
//!   read the new limit under the lock, or is in the queue by the time the lock is taken for the
//!   new limit.
//!
//! No waker or value of a caller is woken, cloned or dropped while the lock is held.

use std::{
    sync::{Arc, PoisonError, atomic::Ordering::Relaxed},
    task::Waker,
    time::Duration,
};

use plimsoll_core::{
    Class, Outcome, Priority,
    policy::{Asked, Ticket, WaitsOn},
    support::shards,
};
use tokio::time::Instant;

use super::{
    average::Average,
    settings::Settings,
    slot_cache::SlotCaches,
    slots::{Before, Slots},
    stalls::{Stalls, Stamp},
};
use crate::{
    control::sampler::{Closed, Route, Sampler},
    queue::{Answer, Queue, Waiter},
    sync::{AtomicU32, Mutex, MutexGuard},
};

/// The hint when none is set and nothing was measured yet: 1 second. A longer estimate decays to
/// it. The tests in `hint` fail with another value.
const DEFAULT_HINT: Duration = Duration::from_secs(1);
const LEVELS: u32 = Priority::LEVELS as u32;
/// Rejected waiters whose futures have not been polled yet. At `max(MAX_UNPOLLED, queue length)`
/// new waiters are rejected, so unpolled futures cannot grow memory. A woken task polls soon; a
/// future that is kept but never polled holds its entry until it is dropped.
const MAX_UNPOLLED: u32 = 1024;

/// The state of one limit: its slots, its queue, and its settings, which cells share.
#[derive(Debug)]
pub(crate) struct State {
    slots: Slots,
    /// Counts permits whose response is unread.
    stalls: Stalls,
    /// The queue's length and its lowest level, for reads without the lock. Both are of the same
    /// moment.
    summary: AtomicU32,
    /// How long a request holds its slot while all are taken; each counts for at most the longest
    /// hint.
    hold: Average,
    queue: Mutex<Queue>,
    /// Performance: whether there is a sampler, read several times by each call.
    pub(crate) samples: bool,
    pub(crate) settings: Arc<Settings>,
}

/// The result of queueing a request that found no slot.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Queued {
    /// A slot was free after all.
    Entered,
    /// The request is in the queue.
    Waiting(Ticket),
    /// The queue is full, too.
    Full,
}

impl State {
    pub(crate) fn new(settings: Arc<Settings>) -> Self {
        Self {
            slots: Slots::new(),
            stalls: Stalls::new(),
            summary: AtomicU32::new(0),
            hold: Average::new(),
            queue: Mutex::new(Queue::new()),
            samples: settings.sampler.is_some(),
            settings,
        }
    }

    /// Takes a slot, if one is free and the queue is empty.
    #[inline]
    pub(crate) fn enter(&self) -> bool {
        self.slots.enter(self.settings.limit())
    }

    /// Releases a slot, or hands it over to the next waiter.
    #[inline]
    pub(crate) fn release(&self, now: Instant) {
        if self.slots.release().has_waiters() {
            self.admit_waiters(Some(now));
        }
    }

    /// Releases a slot, and measures the call that held it if the limit was full.
    ///
    /// Performance: only then is the end of the call read, at the price of a clock read: rejections
    /// with a hint occur only when the limit is full.
    #[inline]
    pub(crate) fn release_after(&self, outcome: &Outcome) {
        let before = self.slots.release();
        let limit = self.settings.limit();
        if before.may_have_been_full(limit) {
            self.released_while_full(before, limit, outcome);
        }
    }

    #[cold]
    #[inline(never)]
    fn released_while_full(&self, before: Before, limit: u32, outcome: &Outcome) {
        if before.was_full(limit) {
            // Before the next waiter's deadline is checked against it. A fast failure does not
            // count as a fast success.
            let now = self.settings.nanos(outcome.ended());
            if self.samples && matches!(outcome.class, Class::Success | Class::Cancelled) {
                let cut_off = outcome.class == Class::Cancelled;
                self.settings
                    .record_latency(outcome.latency(), cut_off, now);
            }
            if before.has_waiters() {
                self.admit_waiters(Some(outcome.ended()));
            }
            // How long slots are held cannot be measured on a call that an inner gate rejected.
            if outcome.class != Class::Rejected {
                let ran = outcome.ran().min(self.settings.max_retry_after());
                self.hold.take(ran, now);
            }
        }
    }

    /// As [`release_after`](Self::release_after), and moves an adaptive limit at the end of its
    /// window.
    ///
    /// Performance: out of line, so that a fixed limit does not pay for it (`instructions`,
    /// `concurrency@accept`).
    #[inline(never)]
    pub(crate) fn release_sampled(&self, outcome: &Outcome, route: Option<&Route>) {
        let limit = self.settings.limit();
        let before = self.slots.release();
        let Some(sampler) = &self.settings.sampler else {
            return;
        };
        // Performance: without the rare branches, the usual call saves no registers
        // (`instructions`, `adaptive@accept`).
        let usual = route.is_none() && Sampler::is_answered(outcome);
        if !usual || before.may_have_been_full(limit) {
            return self.released_rarely(sampler, before, limit, outcome, route);
        }
        let in_flight = || match before.in_flight() {
            Some(in_flight) => in_flight,
            None => self.lately_in_flight(sampler),
        };
        if let Some(now) = sampler.count_answered(outcome, in_flight, None) {
            self.close_window(sampler, now, limit);
        }
    }

    /// The number in flight while slots are spread over the cores, this call included.
    #[inline(never)]
    fn lately_in_flight(&self, sampler: &Sampler) -> u32 {
        sampler.lately_in_flight(|| self.in_flight() + 1)
    }

    /// The limit was full, or the call has a route or was not answered.
    #[inline(never)]
    fn released_rarely(
        &self,
        sampler: &Sampler,
        before: Before,
        limit: u32,
        outcome: &Outcome,
        route: Option<&Route>,
    ) {
        if before.may_have_been_full(limit) {
            self.released_while_full(before, limit, outcome);
        }
        let in_flight = || {
            let exact = before.in_flight();
            exact.unwrap_or_else(|| self.lately_in_flight(sampler))
        };
        if let Some(now) = sampler.count(outcome, in_flight, route) {
            self.close_window(sampler, now, limit);
        }
    }

    #[cold]
    #[inline(never)]
    fn close_window(&self, sampler: &Sampler, now: Instant, limit: u32) {
        if let Some(closed) = sampler.close(now, limit, || self.settings.rejected()) {
            self.moved(&closed, now);
        }
    }

    /// Notes that the permit's response waits for its caller, or for the service.
    #[inline]
    #[must_use]
    pub(crate) fn body_waits(&self, stamp: Stamp, on: WaitsOn) -> Stamp {
        self.stalls.body_waits(stamp, on)
    }

    /// Ends the stall tracking of a permit. Returns whether it still holds its slot and has to
    /// release it.
    #[inline]
    #[must_use]
    pub(crate) fn holds_slot(&self, stamp: Stamp) -> bool {
        let caches_pay = || SlotCaches::pay(shards(), self.settings.limit());
        self.stalls.end(stamp, caches_pay)
    }

    /// Reclaims the slots of responses that stayed unread for the longest stall, and hands them
    /// over. Returns whether there were any. Called where the limit is full at `now`.
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
        if self.slots.release_many(slots).has_waiters() {
            self.admit_waiters(Some(now));
        }
        true
    }

    /// Returns when [`reclaim`](Self::reclaim) next has something to do.
    pub(crate) fn reclaims_at(&self) -> Option<Instant> {
        let longest = self.settings.max_stall()?;
        self.settings.instant(self.stalls.due(longest))
    }

    /// Whether a queue of `len` has no place for a request of this level, and no waiter that it
    /// could evict.
    ///
    /// Read without the lock, so the answer may be outdated; [`enqueue`](Self::enqueue) checks
    /// again.
    pub(crate) fn is_full(&self, len: u32, level: u16) -> bool {
        let summary = self.summary.load(Relaxed);
        summary / LEVELS >= len && u32::from(level) <= summary % LEVELS
    }

    /// Takes a slot, or a place in a queue of at most `len`.
    ///
    /// If the queue is full, it evicts the newest waiter of the lowest level, if that level is
    /// lower.
    pub(crate) fn enqueue(&self, len: u32, level: u16, waiter: Waiter) -> Queued {
        let mut queue = self.lock();
        // Rejected waiters that have not been polled yet use memory, too.
        if queue.unpolled() >= len.max(MAX_UNPOLLED) {
            return Queued::Full;
        }
        let full = queue.len() >= len;
        if full && queue.lowest() >= Some(level) {
            self.sheds(level);
            return Queued::Full;
        }
        if queue.is_empty() && self.slots.enter_or_mark(self.settings.limit()) {
            return Queued::Entered;
        }
        let ticket = queue.join(level, waiter);
        let evicted = if full {
            self.sheds(queue.lowest().unwrap_or(level));
            queue.evict()
        } else {
            None
        };
        self.summary(&queue);
        drop(queue); // before the waker
        if let Some(waker) = evicted {
            waker.wake();
        }
        Queued::Waiting(ticket)
    }

    /// A request of this level finds no place in the queue, or loses it.
    pub(crate) fn sheds(&self, level: u16) {
        if let Some(sampler) = &self.settings.sampler {
            sampler.shed.add(level);
        }
    }

    /// Whether the waiter was answered; if not, `waker` is woken when it is.
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

    /// Removes a waiter and returns its answer, if any. The caller owns the slot of
    /// [`Answer::Granted`].
    pub(crate) fn withdraw(&self, ticket: Ticket) -> Option<Answer> {
        let mut queue = self.lock();
        let (answer, waker) = queue.remove(ticket)?;
        if answer.is_none() {
            self.summary(&queue);
            if queue.is_empty() {
                self.slots.unmark();
            }
        }
        drop(queue); // before the waker
        drop(waker);
        answer
    }

    /// Grants free slots to the next waiters, and rejects those whose turn comes too late.
    ///
    /// `now` is `None` for the latest moment that the queue was given.
    #[cold]
    pub(crate) fn admit_waiters(&self, now: Option<Instant>) {
        loop {
            let mut queue = self.lock();
            let limit = self.settings.limit();
            // While the queue has waiters, slots are taken only here: a free slot stays free.
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
            self.summary(&queue);
            drop(queue);
            if let Some(waker) = waker {
                waker.wake();
            }
            if last || self.slots.in_flight() >= limit {
                return;
            }
        }
    }

    /// Applies the decision of an algorithm. Values out of bounds change nothing.
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
            self.admit_waiters(Some(now));
        }
    }

    /// Returns the retry hint: the time until all requests in flight and in the queue will have
    /// been served. Without `now` the estimate does not decay.
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

    /// Decays an estimate. Where no call was measured for long the limit was not full, so the cause
    /// of a long estimate may be gone.
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
        self.summary.load(Relaxed) / LEVELS
    }

    /// The moving average of the time a slot is held; zero before the first sample.
    pub(crate) fn hold(&self) -> Duration {
        Duration::from_nanos(self.hold.nanos())
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.slots.is_idle()
    }

    /// Resets the state and frees the queue's memory. No request is in flight or queued.
    pub(crate) fn reset(&self) {
        self.hold.reset();
        let mut queue = self.lock();
        if queue.is_empty() && queue.unpolled() == 0 && self.slots.is_idle() {
            *queue = Queue::new();
        }
    }

    /// Publishes length and lowest level of the queue. Called under its lock.
    fn summary(&self, queue: &Queue) {
        let lowest = u32::from(queue.lowest().unwrap_or(0));
        // A length of 2^20 and 512 levels are 30 bits.
        self.summary.store(queue.len() * LEVELS + lowest, Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // No code panics under this lock, so a poisoned lock holds a consistent value.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
