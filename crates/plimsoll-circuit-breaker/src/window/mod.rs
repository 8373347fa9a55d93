//! The window: how many of the latest calls failed or were slow.

mod ages;
mod consecutive;
mod count;
mod time;
mod totals;

use std::time::Duration;

pub(crate) use self::totals::{Judged, Totals};
use self::{consecutive::Consecutive, count::Count, time::Time};
use crate::nanos::nanos;

/// The outcomes that the rates are taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Window {
    /// The latest calls, by number.
    Calls(u32),
    /// The calls that ended within this time.
    Time(Duration),
    /// The latest failures without a success between them. This many in a row open the breaker.
    Consecutive(u32),
}

/// The outcomes of a breaker, on atomics.
///
/// Performance: aligned, so that the words every call writes do not share a cache line with the
/// state every call reads.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Outcomes(Kind);

#[derive(Debug)]
enum Kind {
    Count(Count),
    Time(Time),
    Consecutive(Consecutive),
}

impl Outcomes {
    /// An empty window. `max_age` bounds the age of outcomes where the window has no time of its
    /// own; `slow` is whether slow calls are counted.
    pub(crate) fn new(window: Window, max_age: Duration, slow: bool) -> Self {
        let max_age = nanos(max_age);
        Self(match window {
            Window::Calls(size) => Kind::Count(Count::new(size, max_age, slow)),
            Window::Time(period) => Kind::Time(Time::new(nanos(period))),
            Window::Consecutive(_) => Kind::Consecutive(Consecutive::new(max_age)),
        })
    }

    /// Whether a further success changes no decision: then [`record_usual`](Self::record_usual) is
    /// enough.
    pub(crate) fn is_usual(&self) -> bool {
        match &self.0 {
            Kind::Count(window) => window.is_healthy(),
            Kind::Time(window) => window.is_healthy(),
            Kind::Consecutive(window) => window.is_healthy(),
        }
    }

    /// Records a success while the window [is usual](Self::is_usual).
    #[inline]
    pub(crate) fn record_usual(&self) {
        if let Kind::Time(window) = &self.0 {
            window.record_usual();
        }
    }

    /// Records an outcome. `now` is read for outcomes that are not successes.
    pub(crate) fn record(&self, judged: Judged, now: impl FnOnce() -> u64) {
        match &self.0 {
            Kind::Count(window) => {
                if judged.failed || judged.slow {
                    window.turn(now());
                }
                window.record(judged);
            }
            Kind::Time(window) => {
                if judged.failed || judged.slow {
                    window.turn(now());
                }
                window.record(judged);
            }
            Kind::Consecutive(window) => window.record(judged, now),
        }
    }

    /// Drops outcomes that are too old at `now`. Returns when it should be called next.
    pub(crate) fn turn(&self, now: u64) -> u64 {
        match &self.0 {
            Kind::Count(window) => window.turn(now),
            Kind::Time(window) => window.turn(now),
            Kind::Consecutive(_) => u64::MAX,
        }
    }

    /// The outcomes in the window, and calls in flight that are slow already.
    pub(crate) fn totals(&self, overdue: u32) -> Totals {
        let mut totals = match &self.0 {
            Kind::Count(window) => window.totals(),
            Kind::Time(window) => window.totals(),
            Kind::Consecutive(window) => {
                let row = window.failures().saturating_add(overdue);
                return Totals {
                    calls: row,
                    failures: row,
                    slow: overdue,
                };
            }
        };
        totals.calls = totals.calls.saturating_add(overdue);
        totals.slow = totals.slow.saturating_add(overdue);
        totals
    }

    /// Whether there is neither a failure nor a slow call.
    pub(crate) fn is_clean(&self) -> bool {
        let totals = self.totals(0);
        totals.failures == 0 && totals.slow == 0
    }

    /// Removes all outcomes.
    pub(crate) fn reset(&self) {
        match &self.0 {
            Kind::Count(window) => window.reset(),
            Kind::Time(window) => window.reset(),
            Kind::Consecutive(window) => window.reset(),
        }
    }
}
