//! Slots and queue together: how a request gets in, waits, and hands its slot on.
//!
//! # The protocol
//!
//! - A request takes a slot with one compare-and-swap, which fails while anybody waits: nobody passes the queue.
//! - One that finds no slot takes the lock, looks again, and marks the slots in the same atomic operation that saw them
//!   full. Every release after that sees the mark.
//! - A release that sees the mark takes the lock and gives free slots to the first in the queue. The slot is theirs from
//!   then on, whether or not they have heard of it.
//! - A waiter that leaves after it was given a slot releases it like any other.
//! - A new limit is stored first, and then slots are handed out under the lock: a waiter either read the new
//!   limit under the lock, or is in the queue when the lock is taken for it.
//!
//! Nothing is woken, cloned or dropped that belongs to a caller while the lock is held.

use std::{
    sync::{
        Arc, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::Waker,
    time::Duration,
};

use plimsoll_core::{Asked, Left, Ticket, Waiters};

use crate::{
    sampler::Closed,
    settings::Settings,
    slots::Slots,
    sync::{AtomicU32, Mutex, MutexGuard},
};

/// The hint while nothing was measured and nothing was set.
const DEFAULT_HINT: Duration = Duration::from_secs(1);

/// One limit at work: its slots, its queue, and the settings it perhaps shares with others.
#[derive(Debug)]
pub(crate) struct State {
    slots: Slots,
    /// The queue's length, for those who look without the lock.
    queued: AtomicU32,
    /// How long a request holds its slot while all are taken: a moving average in nanoseconds, 0 before the first.
    hold: AtomicU64,
    waiters: Mutex<Waiters>,
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
            queued: AtomicU32::new(0),
            hold: AtomicU64::new(0),
            waiters: Mutex::new(Waiters::new()),
            settings,
        }
    }

    /// Takes a slot, if one is free and nobody waits for it.
    #[inline]
    pub(crate) fn enter(&self) -> bool {
        self.slots.enter(self.settings.limit())
    }

    /// Gives a slot back, or on to the first in the queue.
    #[inline]
    pub(crate) fn leave(&self) {
        if self.slots.leave().somebody_waits() {
            self.hand_out();
        }
    }

    /// As [`leave`](Self::leave), after having held the slot for a time that is asked for, at the price of a clock
    /// read, only when the limit was used up: that is when somebody may be told to come back.
    #[inline]
    pub(crate) fn leave_after(&self, hold: impl FnOnce() -> Duration) {
        let before = self.slots.leave();
        if before.was_full(self.settings.limit()) {
            if before.somebody_waits() {
                self.hand_out();
            }
            self.held(hold());
        }
    }

    /// Takes a slot, or a place in a queue of at most `len`.
    pub(crate) fn enqueue(&self, len: u32) -> Queued {
        let mut waiters = self.lock();
        if waiters.len() >= len {
            return Queued::Full;
        }
        if waiters.is_empty() && self.slots.enter_or_mark(self.settings.limit()) {
            return Queued::Entered;
        }
        let ticket = waiters.join(());
        self.queued.store(waiters.len(), Relaxed);
        Queued::Waiting(ticket)
    }

    /// Whether the waiter has a slot; otherwise `waker` is woken when it has.
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

    /// Ends a wait. `true` when it had been given a slot, which is the caller's now.
    pub(crate) fn withdraw(&self, ticket: Ticket) -> bool {
        let mut waiters = self.lock();
        let Some(Left { granted, waker, .. }) = waiters.remove(ticket) else {
            return false;
        };
        if !granted {
            self.queued.store(waiters.len(), Relaxed);
            if waiters.is_empty() {
                self.slots.unmark();
            }
        }
        drop(waiters); // before the waker
        drop(waker);
        granted
    }

    /// Gives free slots to those who wait, in their order.
    #[cold]
    pub(crate) fn hand_out(&self) {
        loop {
            let mut waiters = self.lock();
            let limit = self.settings.limit();
            let len = waiters.len();
            if len == 0 || !self.slots.grant(limit, len == 1) {
                return;
            }
            let waker = waiters.grant_first();
            self.queued.store(len - 1, Relaxed);
            let more = len > 1 && self.slots.in_flight() < limit;
            drop(waiters);
            if let Some(waker) = waker {
                waker.wake();
            }
            if !more {
                return;
            }
        }
    }

    /// An algorithm has moved the limit.
    pub(crate) fn moved(&self, closed: &Closed) {
        let change = closed.change;
        // What an algorithm cannot mean is left undone, as there is nobody to tell.
        if let Some((len, wait)) = change.queue {
            _ = self.settings.set_queue(len as usize, wait);
        }
        if self.settings.set_limit(change.limit as usize).is_ok() {
            self.hand_out();
        }
    }

    /// Counts how long a request held its slot. Two that end together may lose one sample: it is an estimate.
    fn held(&self, time: Duration) {
        let sample = time.as_secs().saturating_mul(1_000_000_000) + u64::from(time.subsec_nanos());
        let hold = self.hold.load(Relaxed);
        let next = if hold == 0 {
            sample
        } else {
            hold - hold / 16 + sample / 16
        };
        self.hold.store(next, Relaxed);
    }

    /// When it is worth coming back: when those who are in now, queued ones included, will have been served.
    pub(crate) fn retry_after(&self) -> Duration {
        if let Some(stated) = self.settings.retry_after() {
            return stated;
        }
        match self.hold.load(Relaxed) {
            0 => DEFAULT_HINT,
            hold => {
                let ahead = u64::from(self.in_flight()) + u64::from(self.queued());
                let served = hold.saturating_mul(ahead) / u64::from(self.settings.limit());
                Duration::from_nanos(served.max(1))
            }
        }
    }

    #[inline]
    pub(crate) fn in_flight(&self) -> u32 {
        self.slots.in_flight()
    }

    #[inline]
    pub(crate) fn queued(&self) -> u32 {
        self.queued.load(Relaxed)
    }

    /// The moving average of the time a slot is held; zero before the first.
    pub(crate) fn hold(&self) -> Duration {
        Duration::from_nanos(self.hold.load(Relaxed))
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.slots.is_idle()
    }

    /// Starts over, with the queue's memory given back. Nobody is in flight and nobody waits.
    pub(crate) fn reset(&self) {
        self.hold.store(0, Relaxed);
        let mut waiters = self.lock();
        if waiters.is_empty() && self.slots.is_idle() {
            *waiters = Waiters::new();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiters> {
        // Nothing panics while it is held; a poisoned one would be as good.
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
