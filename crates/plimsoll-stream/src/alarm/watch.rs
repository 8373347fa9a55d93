//! The alarm: a signal, where its load was, and callbacks.

use std::{
    convert::Infallible,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use plimsoll_core::{
    LoadSignal,
    alarm::{Change, Machine, Marks},
    support::Callbacks,
};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::clock;

/// Notifies when a load stays high, and when it is low again.
///
/// See the [module](super) for the settings and an example. Clones share the state and the
/// callbacks.
pub struct Alarm<L> {
    inner: Arc<Inner<L>>,
}

struct Inner<L> {
    signal: L,
    marks: Marks,
    every: Duration,
    machine: Mutex<Machine>,
    callbacks: Callbacks<dyn Fn(&Change) + Send + Sync>,
}

impl<L: LoadSignal> Alarm<L> {
    pub(super) fn with(signal: L, marks: Marks, every: Duration) -> Self {
        Self {
            inner: Arc::new(Inner {
                signal,
                marks,
                every,
                machine: Mutex::default(),
                callbacks: Callbacks::default(),
            }),
        }
    }

    /// Reads the load, observes it, and does so again each time that
    /// [`every`](super::AlarmBuilder::every) has passed. It never ends.
    ///
    /// The caller spawns it, or polls it beside other futures. When it is polled late, the load is
    /// read once, and the next time comes a whole interval later.
    ///
    /// # Panics
    ///
    /// When the signal panics. Panics of callbacks are caught.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves the alarm as it is.
    pub async fn watch(&self) -> Infallible {
        let mut ticks = interval(self.inner.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.observe(self.inner.signal.load(), clock::now());
        }
    }

    /// Observes a load that was read at this time, and returns the change that it makes, if any.
    ///
    /// For a program that reads the load in a task of its own, instead of [`watch`](Self::watch).
    /// Callbacks run before it returns. Loads must be observed in the order of their times; NaN
    /// counts as 0.
    pub fn observe(&self, load: f64, now: Instant) -> Option<Change> {
        let change = self.machine(|machine| machine.observe(&self.inner.marks, load, now))?;
        self.inner.callbacks.each(|callback| callback(&change));
        Some(change)
    }
}

impl<L> Alarm<L> {
    /// Adds a callback for changes. It runs in the task that observes the load, and must not block.
    ///
    /// Callbacks add up, and cannot be removed. A panic in one is caught: it stops neither the
    /// other callbacks nor the alarm.
    pub fn on_change(&self, callback: impl Fn(&Change) + Send + Sync + 'static) {
        self.inner.callbacks.add(Arc::new(callback));
    }

    /// Returns whether the alarm is raised.
    pub fn is_raised(&self) -> bool {
        self.machine(|machine| machine.is_raised())
    }

    /// No code of the caller runs under the lock, so it is never poisoned.
    fn machine<R>(&self, run: impl FnOnce(&mut Machine) -> R) -> R {
        let machine = &self.inner.machine;
        run(&mut machine.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<L> Clone for Alarm<L> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<L> fmt::Debug for Alarm<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alarm")
            .field("is_raised", &self.is_raised())
            .field("marks", &self.inner.marks)
            .finish_non_exhaustive()
    }
}
