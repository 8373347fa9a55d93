//! How long the calls of one route take at rest, learnt from the windows in which little was in flight.

use std::sync::{
    Mutex,
    atomic::{AtomicU64, Ordering::Relaxed},
};

/// So many calls count for as much as all that was learnt before.
const KNOWN: f64 = 30.0;

/// One route's calls. Nothing waits: of two that end at the same moment one may not be learnt from.
#[derive(Debug, Default)]
pub(crate) struct Route {
    /// Nanoseconds; 0 before it is known.
    at_rest: AtomicU64,
    seen: Mutex<Seen>,
}

/// What was seen in a window.
#[derive(Debug, Default)]
struct Seen {
    window: u64,
    calls: u32,
    nanos: u64,
}

impl Route {
    /// A call took so long, and ended in this window; the last at rest was `rested`. Answers how long it would have taken
    /// at rest; 0 while that is not known.
    pub(crate) fn count(&self, nanos: u64, window: u64, rested: u64) -> u64 {
        if let Ok(mut seen) = self.seen.try_lock() {
            if seen.window != window {
                if seen.window == rested && seen.calls > 0 {
                    self.learn(&seen);
                }
                *seen = Seen {
                    window,
                    ..Seen::default()
                };
            }
            seen.calls = seen.calls.saturating_add(1);
            seen.nanos = seen.nanos.saturating_add(nanos);
        }
        self.at_rest.load(Relaxed)
    }

    fn learn(&self, seen: &Seen) {
        let calls = f64::from(seen.calls);
        let mean = seen.nanos as f64 / calls;
        let known = match self.at_rest.load(Relaxed) {
            0 => mean,
            nanos => nanos as f64,
        };
        let learnt = known + (mean - known) * calls / (calls + KNOWN);
        self.at_rest.store(learnt.max(1.0) as u64, Relaxed);
    }

    /// Forgets all.
    pub(crate) fn reset(&self) {
        self.at_rest.store(0, Relaxed);
        if let Ok(mut seen) = self.seen.try_lock() {
            *seen = Seen::default();
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn window(route: &Route, window: u64, rested: u64, nanos: u64, calls: u32) -> u64 {
        (0..calls)
            .map(|_| route.count(nanos, window, rested))
            .last()
            .unwrap()
    }

    #[test]
    fn only_windows_at_rest_teach() {
        let route = Route::default();
        assert_eq!(window(&route, 1, 0, 900, 10), 0);
        assert_eq!(
            window(&route, 2, 0, 100, 10),
            0,
            "the first was not at rest"
        );
        assert_eq!(window(&route, 3, 2, 900, 10), 100, "the second was");
        assert_eq!(window(&route, 4, 2, 900, 10), 100, "the third was not");
    }

    #[test]
    fn thirty_calls_are_worth_what_was_known() {
        let route = Route::default();
        window(&route, 1, 0, 100, 1);
        window(&route, 2, 1, 300, 30);
        assert_eq!(window(&route, 3, 2, 900, 1), 200);
        window(&route, 4, 2, 800, 10);
        assert_eq!(window(&route, 5, 4, 900, 1), 350);
        route.reset();
        assert_eq!(window(&route, 6, 5, 900, 1), 0);
    }
}
