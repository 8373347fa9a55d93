//! The credit of a demand, and the tasks that wait for it.

use std::{
    fmt,
    sync::{
        PoisonError,
        atomic::Ordering::{AcqRel, Acquire, Release},
    },
    task::{Context, Poll, Waker},
};

use plimsoll_core::policy::{Asked, Ticket, Waiters};

use super::error::{DemandCancelled, InvalidRequest};
use crate::sync::{AtomicBool, AtomicU64, Mutex, MutexGuard};

/// Credit without a bound (rule 3.17).
pub(crate) const UNBOUNDED: u64 = u64::MAX;

/// Credit as an atomic that is taken from without a lock, and a lock around the tasks that wait.
///
/// Credit is added under the lock only, and a task that waits looks at the credit under the lock
/// before it is queued. So while a producer is queued, there is no credit.
pub(crate) struct Shared {
    credit: AtomicU64,
    cancelled: AtomicBool,
    tasks: Mutex<Tasks>,
}

struct Tasks {
    /// Producers that wait for credit, with whether they were granted one.
    producers: Waiters<bool>,
    /// Tasks that wait for the cancellation.
    watchers: Waiters,
}

impl Shared {
    pub(crate) fn new() -> Self {
        Self {
            credit: AtomicU64::new(0),
            cancelled: AtomicBool::new(false),
            tasks: Mutex::new(Tasks {
                producers: Waiters::new(),
                watchers: Waiters::new(),
            }),
        }
    }

    /// No code of the caller runs under the lock, so it is never poisoned.
    fn lock(&self) -> MutexGuard<'_, Tasks> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn credit(&self) -> u64 {
        self.credit.load(Acquire)
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Acquire)
    }

    pub(crate) fn request(&self, n: u64) -> Result<(), InvalidRequest> {
        let mut tasks = self.lock();
        if self.is_cancelled() {
            return Ok(());
        }
        if n == 0 {
            return Err(InvalidRequest);
        }
        let woken = self.add(&mut tasks, n);
        drop(tasks);
        wake(woken);
        Ok(())
    }

    /// Adds credit: to the producers that wait, first come, first served, and the rest for later.
    fn add(&self, tasks: &mut Tasks, n: u64) -> Vec<Waker> {
        let (mut left, mut woken) = (n, Vec::new());
        while left > 0 {
            let Some(granted) = tasks.producers.first() else {
                // The update always succeeds.
                _ = self
                    .credit
                    .fetch_update(AcqRel, Acquire, |credit| Some(credit.saturating_add(left)));
                break;
            };
            *granted = true;
            woken.extend(tasks.producers.grant_first());
            if left != UNBOUNDED {
                left -= 1;
            }
        }
        woken
    }

    /// Returns whether this call has cancelled.
    pub(crate) fn cancel(&self) -> bool {
        let mut tasks = self.lock();
        if self.cancelled.swap(true, AcqRel) {
            return false;
        }
        self.credit.store(0, Release);
        let mut woken = Vec::new();
        while !tasks.producers.is_empty() {
            woken.extend(tasks.producers.grant_first());
        }
        while !tasks.watchers.is_empty() {
            woken.extend(tasks.watchers.grant_first());
        }
        drop(tasks);
        wake(woken);
        true
    }

    /// Takes one credit, if there is one.
    pub(crate) fn try_take(&self) -> Result<bool, DemandCancelled> {
        if self.is_cancelled() {
            return Err(DemandCancelled);
        }
        if self.credit() == UNBOUNDED {
            return Ok(true);
        }
        let taken = self
            .credit
            .fetch_update(AcqRel, Acquire, |credit| match credit {
                UNBOUNDED => Some(UNBOUNDED),
                credit => credit.checked_sub(1),
            });
        Ok(taken.is_ok())
    }

    /// Adds a credit that was taken and not used.
    pub(crate) fn untake(&self) {
        // An error only after a request for 0.
        _ = self.request(1);
    }

    /// Takes one credit, or waits for it in the order of arrival.
    pub(crate) fn poll_take(
        &self,
        place: &mut Option<Ticket>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), DemandCancelled>> {
        let mut clone = None;
        loop {
            if place.is_none() {
                match self.try_take() {
                    Ok(false) => {}
                    taken => return Poll::Ready(taken.map(drop)),
                }
                // Without the lock, because cloning runs the caller's code.
                clone.get_or_insert_with(|| cx.waker().clone());
            }
            let mut tasks = self.lock();
            let ticket = match *place {
                Some(ticket) => ticket,
                // Again, since credit that came meanwhile was for those that were queued.
                None => match self.try_take() {
                    Ok(false) => *place.insert(tasks.producers.join(false)),
                    taken => return Poll::Ready(taken.map(drop)),
                },
            };
            match tasks.producers.ask(ticket, cx.waker(), &mut clone) {
                Asked::Waiting(other) => {
                    drop(tasks);
                    drop(other);
                    return Poll::Pending;
                }
                Asked::WakerPlease => {
                    drop(tasks);
                    clone = Some(cx.waker().clone());
                }
                Asked::Granted => {
                    *place = None;
                    let left = tasks.producers.remove(ticket);
                    let credited = left.is_some_and(|left| left.value);
                    // A credit that was granted before the cancellation is void.
                    return Poll::Ready(if credited && !self.is_cancelled() {
                        Ok(())
                    } else {
                        Err(DemandCancelled)
                    });
                }
            }
        }
    }

    /// Leaves the queue of producers. A credit that was granted goes to the next one.
    pub(crate) fn leave(&self, place: &mut Option<Ticket>) {
        let Some(ticket) = place.take() else {
            return;
        };
        let mut tasks = self.lock();
        let left = tasks.producers.remove(ticket);
        let mut woken = Vec::new();
        if left.as_ref().is_some_and(|left| left.value) && !self.is_cancelled() {
            woken = self.add(&mut tasks, 1);
        }
        drop(tasks);
        drop(left);
        wake(woken);
    }

    /// Waits for the cancellation.
    pub(crate) fn poll_cancelled(
        &self,
        place: &mut Option<Ticket>,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        let mut clone = None;
        loop {
            if self.is_cancelled() {
                self.unwatch(place);
                return Poll::Ready(());
            }
            if place.is_none() {
                clone.get_or_insert_with(|| cx.waker().clone());
            }
            let mut tasks = self.lock();
            // Again, since the cancellation wakes those that it finds.
            if self.is_cancelled() {
                continue;
            }
            let ticket = *place.get_or_insert_with(|| tasks.watchers.join(()));
            match tasks.watchers.ask(ticket, cx.waker(), &mut clone) {
                Asked::Waiting(other) => {
                    drop(tasks);
                    drop(other);
                    return Poll::Pending;
                }
                Asked::WakerPlease => {
                    drop(tasks);
                    clone = Some(cx.waker().clone());
                }
                // Only by the cancellation, which the next round sees.
                Asked::Granted => {}
            }
        }
    }

    /// Leaves the tasks that wait for the cancellation.
    pub(crate) fn unwatch(&self, place: &mut Option<Ticket>) {
        if let Some(ticket) = place.take() {
            let left = self.lock().watchers.remove(ticket);
            drop(left);
        }
    }
}

/// Outside of the lock: a waker is code of the caller, and a woken task may run at once.
fn wake(woken: Vec<Waker>) {
    woken.into_iter().for_each(Waker::wake);
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Demand")
            .field("credit", &self.credit())
            .field("cancelled", &self.is_cancelled())
            .finish_non_exhaustive()
    }
}
