//! State shared by all services of one policy.

use std::time::Duration;

use plimsoll_core::{
    LoadSignal,
    policy::{Counter, Epoch},
    support::Ledger,
};
use tokio::time::Instant;

use super::{
    arrivals::Arrivals,
    cut::{Cut, LEVELS},
    window::{Closer, Readings},
};
use crate::{
    InvalidAdaptiveShed,
    sync::{
        AtomicU32, AtomicU64, Mutex,
        Ordering::{Acquire, Relaxed, Release},
    },
};

const DEFAULT_WINDOW: Duration = Duration::from_millis(5);
const WINDOWS: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(60);

/// State, settings, counters and signal of one policy.
#[derive(Debug)]
pub(crate) struct Shared<L> {
    pub(crate) signal: L,
    pub(crate) arrivals: Arrivals<LEVELS>,
    /// Calls that count as work done.
    pub(crate) done: Counter,
    /// A [`Cut`].
    cut: AtomicU32,
    epoch: Epoch,
    /// When the window may be closed, in nanoseconds of the epoch.
    due: AtomicU64,
    closer: Mutex<Closer>,
    /// Length of a window in nanoseconds.
    window: AtomicU64,
    pub(crate) ledger: Ledger,
}

impl<L> Shared<L> {
    pub(crate) fn new(signal: L) -> Self {
        let (arrivals, seen) = Arrivals::new();
        Self {
            signal,
            arrivals,
            done: Counter::new(),
            cut: AtomicU32::new(Cut::OPEN.to_bits()),
            epoch: Epoch::new(),
            due: AtomicU64::new(0),
            closer: Mutex::new(Closer::new(seen)),
            window: AtomicU64::new(DEFAULT_WINDOW.as_nanos() as u64),
            ledger: Ledger::default(),
        }
    }

    #[inline]
    pub(crate) fn cut(&self) -> Cut {
        Cut::from_bits(self.cut.load(Relaxed))
    }

    pub(crate) fn window(&self) -> Duration {
        Duration::from_nanos(self.window.load(Relaxed))
    }

    pub(crate) fn set_window(&self, window: Duration) -> Result<(), InvalidAdaptiveShed> {
        if !WINDOWS.contains(&window) {
            return Err(InvalidAdaptiveShed::Window(window));
        }
        self.window.store(window.as_nanos() as u64, Relaxed);
        Ok(())
    }

    /// Requests per second that are admitted; `None` while nothing is shed.
    pub(crate) fn budget(&self) -> Option<f64> {
        let closer = self.closer.lock();
        closer
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .budget()
    }
}

impl<L: LoadSignal> Shared<L> {
    /// Closes the window when it is due. While another thread closes it, this one continues.
    #[inline]
    pub(crate) fn tick(&self, now: Instant, told: bool) {
        let nanos = self.epoch.nanos(now);
        if nanos >= self.due.load(Acquire) {
            self.close(now, nanos, told);
        }
    }

    #[cold]
    #[inline(never)]
    fn close(&self, now: Instant, nanos: u64, told: bool) {
        // Before the lock: a signal that panics would poison it, and the shedding would stop.
        // `max` turns a NaN into 0.
        let load = self.signal.load().max(0.0);
        let Ok(mut closer) = self.closer.try_lock() else {
            return;
        };
        // Another thread may have closed it between the check in `tick` and the lock.
        if nanos < self.due.load(Acquire) {
            return;
        }
        let shortest = self.window();
        let cut = closer.close(
            now,
            &Readings {
                arrivals: &self.arrivals,
                done: self.done.get(),
                load,
                shortest,
                told,
            },
        );
        self.cut.store(cut.to_bits(), Relaxed);
        self.due
            .store(nanos.saturating_add(shortest.as_nanos() as u64), Release);
    }
}
