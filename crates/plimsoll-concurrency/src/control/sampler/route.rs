//! How long the calls of one route take at rest, learnt from the windows in which little was in flight.

use std::sync::{
    Mutex,
    atomic::{AtomicU64, Ordering::Relaxed},
};

/// So many calls count for as much as all that was learnt before.
const KNOWN: f64 = 30.0;

/// The number of the window at work, and in which of the 32 before it calls did not wait for each other: both in one word,
/// so that whoever reads it while a window is closed sees what belongs together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Windows(pub(crate) u64);

impl Windows {
    pub(crate) const FIRST: Self = Self(1 << 32);

    /// When the one at work is over.
    pub(crate) fn next(self, at_no_load: bool) -> Self {
        let number = self.number().wrapping_add(1);
        let rested = self.rested() << 1 | u32::from(at_no_load);
        Self(u64::from(number) << 32 | u64::from(rested))
    }

    fn number(self) -> u32 {
        (self.0 >> 32) as u32
    }

    fn rested(self) -> u32 {
        self.0 as u32
    }

    /// Whether the one with this number is over.
    fn are_past(self, number: u32) -> bool {
        (1..1 << 31).contains(&self.number().wrapping_sub(number))
    }

    /// Whether it is known to have been at rest.
    fn was_at_no_load(self, number: u32) -> bool {
        let ago = self.number().wrapping_sub(number);
        (1..=32).contains(&ago) && self.rested() >> (ago - 1) & 1 == 1
    }
}

/// One route's calls. Nothing waits: of two that end at the same moment one may not be learnt from.
#[derive(Debug, Default)]
pub(crate) struct Route {
    /// Nanoseconds; 0 before it is known.
    route_nanos: AtomicU64,
    seen: Mutex<Seen>,
}

/// What was seen in a window.
#[derive(Debug, Default)]
struct Seen {
    window: u32,
    calls: u32,
    nanos: u64,
}

impl Route {
    /// A call took so long, and ended in the window at work. Answers how long it would have taken at rest; 0 while that is
    /// not known.
    pub(crate) fn count(&self, nanos: u64, windows: Windows) -> u64 {
        if let Ok(mut seen) = self.seen.try_lock() {
            // One that read the number before the others is of their window.
            if windows.are_past(seen.window) {
                if seen.calls > 0 && windows.was_at_no_load(seen.window) {
                    self.learn(&seen);
                }
                *seen = Seen {
                    window: windows.number(),
                    ..Seen::default()
                };
            }
            seen.calls = seen.calls.saturating_add(1);
            seen.nanos = seen.nanos.saturating_add(nanos);
        }
        self.route_nanos.load(Relaxed)
    }

    fn learn(&self, seen: &Seen) {
        let calls = f64::from(seen.calls);
        let mean = seen.nanos as f64 / calls;
        let known = match self.route_nanos.load(Relaxed) {
            0 => mean,
            nanos => nanos as f64,
        };
        let learnt = known + (mean - known) * calls / (calls + KNOWN);
        self.route_nanos.store(learnt.max(1.0) as u64, Relaxed);
    }

    /// Forgets all.
    pub(crate) fn reset(&self) {
        self.route_nanos.store(0, Relaxed);
        if let Ok(mut seen) = self.seen.try_lock() {
            *seen = Seen::default();
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// A window with so many calls of a route, and what they would have taken at rest.
    struct One {
        route: Route,
        windows: Windows,
    }

    impl One {
        fn new() -> Self {
            Self {
                route: Route::default(),
                windows: Windows::FIRST,
            }
        }

        fn window(&mut self, nanos: u64, calls: u32, route_nanos: bool) -> u64 {
            let counted = (0..calls).map(|_| self.route.count(nanos, self.windows));
            let last = counted.last().unwrap_or(0);
            self.windows = self.windows.next(route_nanos);
            last
        }
    }

    #[test]
    fn only_windows_route_nanos_teach() {
        let mut one = One::new();
        assert_eq!(one.window(900, 10, false), 0);
        assert_eq!(one.window(100, 10, true), 0, "the first was not at rest");
        assert_eq!(one.window(900, 10, false), 100, "the second was");
        assert_eq!(one.window(900, 10, false), 100, "the third was not");
    }

    #[test]
    fn thirty_calls_are_worth_what_was_known() {
        let mut one = One::new();
        one.window(100, 1, true);
        one.window(300, 30, true);
        assert_eq!(one.window(900, 1, false), 200);
        one.window(800, 10, true);
        assert_eq!(one.window(900, 1, false), 350);
        one.route.reset();
        assert_eq!(one.window(900, 1, false), 0);
    }

    #[test]
    fn a_route_that_is_seldom_asked_for_learns_from_a_window_that_was_not_the_last_route_nanos() {
        for (between, known) in [(31, 100), (32, 0)] {
            let mut one = One::new();
            one.window(100, 1, true);
            for number in 0..between {
                one.window(0, 0, number % 8 == 0);
            }
            assert_eq!(one.window(900, 1, false), known, "{between} windows later");
        }
    }

    #[test]
    fn a_call_that_is_late_to_be_counted_is_of_the_window_at_work() {
        let mut one = One::new();
        let before = one.windows;
        one.window(900, 1, true);
        for _ in 0..29 {
            one.route.count(300, one.windows);
        }
        one.route.count(300, before);
        one.windows = one.windows.next(true);
        assert_eq!(one.window(900, 1, false), 600);
    }

    #[test]
    fn the_number_of_a_window_may_wrap() {
        let mut one = One::new();
        one.windows = Windows(u64::from(u32::MAX) << 32);
        one.route.seen.lock().unwrap().window = u32::MAX;
        one.window(100, 1, true);
        assert_eq!(one.window(900, 1, false), 100);
    }
}
