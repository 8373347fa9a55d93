//! The baseline of a route: its no-load latency, from windows in which calls did not wait for each
//! other.

use std::sync::{
    Mutex,
    atomic::{AtomicU64, Ordering::Relaxed},
};

/// The number of calls that have the same weight as the baseline so far: 30. A quick change of a
/// route is followed within a few windows. `thirty_calls_weigh_as_much_as_the_baseline` fails with
/// another value.
const BASELINE_WEIGHT: f64 = 30.0;

/// The number of the current window, and which of the 32 windows before it were without load.
///
/// Both are in one word, so a thread that reads it while a window is closed reads a consistent
/// pair.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Windows(pub(crate) u64);

impl Windows {
    pub(crate) const FIRST: Self = Self(1 << 32);

    /// Returns the value after the current window.
    pub(crate) fn next(self, at_no_load: bool) -> Self {
        let number = self.number().wrapping_add(1);
        let no_load = self.no_load() << 1 | u32::from(at_no_load);
        Self(u64::from(number) << 32 | u64::from(no_load))
    }

    fn number(self) -> u32 {
        (self.0 >> 32) as u32
    }

    fn no_load(self) -> u32 {
        self.0 as u32
    }

    /// Whether the window with this number has ended.
    fn are_past(self, number: u32) -> bool {
        (1..1 << 31).contains(&self.number().wrapping_sub(number))
    }

    /// Whether the window with this number is among the last 32 and was without load.
    fn was_at_no_load(self, number: u32) -> bool {
        let ago = self.number().wrapping_sub(number);
        (1..=32).contains(&ago) && self.no_load() >> (ago - 1) & 1 == 1
    }
}

/// The calls of one route. No thread waits here: of two calls that end at the same moment one may
/// not be counted.
#[derive(Debug, Default)]
pub(crate) struct Route {
    /// The baseline in nanoseconds; 0 while unknown.
    route_nanos: AtomicU64,
    calls: Mutex<Calls>,
}

/// The calls of one window.
#[derive(Debug, Default)]
struct Calls {
    window: u32,
    count: u32,
    nanos: u64,
}

impl Route {
    /// Counts a call of the current window. Returns the baseline in nanoseconds; 0 while unknown.
    pub(crate) fn count(&self, nanos: u64, windows: Windows) -> u64 {
        if let Ok(mut calls) = self.calls.try_lock() {
            // A thread that read an older window number counts its call in the current window.
            if windows.are_past(calls.window) {
                if calls.count > 0 && windows.was_at_no_load(calls.window) {
                    self.update(&calls);
                }
                *calls = Calls {
                    window: windows.number(),
                    ..Calls::default()
                };
            }
            calls.count = calls.count.saturating_add(1);
            calls.nanos = calls.nanos.saturating_add(nanos);
        }
        self.route_nanos.load(Relaxed)
    }

    fn update(&self, window: &Calls) {
        let calls = f64::from(window.count);
        let mean = window.nanos as f64 / calls;
        let known = match self.route_nanos.load(Relaxed) {
            0 => mean,
            nanos => nanos as f64,
        };
        let updated = known + (mean - known) * calls / (calls + BASELINE_WEIGHT);
        self.route_nanos.store(updated.max(1.0) as u64, Relaxed);
    }

    /// Resets the route.
    pub(crate) fn reset(&self) {
        self.route_nanos.store(0, Relaxed);
        if let Ok(mut calls) = self.calls.try_lock() {
            *calls = Calls::default();
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// A route, and the windows in which it is called.
    struct Fixture {
        route: Route,
        windows: Windows,
    }

    impl Fixture {
        fn new() -> Self {
            Self {
                route: Route::default(),
                windows: Windows::FIRST,
            }
        }

        fn window(&mut self, nanos: u64, calls: u32, at_no_load: bool) -> u64 {
            let counted = (0..calls).map(|_| self.route.count(nanos, self.windows));
            let last = counted.last().unwrap_or(0);
            self.windows = self.windows.next(at_no_load);
            last
        }
    }

    #[test]
    fn only_windows_without_load_update_the_baseline() {
        let mut fixture = Fixture::new();
        assert_eq!(fixture.window(900, 10, false), 0);
        assert_eq!(
            fixture.window(100, 10, true),
            0,
            "the first window had load"
        );
        assert_eq!(fixture.window(900, 10, false), 100, "the second had none");
        assert_eq!(fixture.window(900, 10, false), 100, "the third had load");
    }

    #[test]
    fn thirty_calls_weigh_as_much_as_the_baseline() {
        let mut fixture = Fixture::new();
        fixture.window(100, 1, true);
        fixture.window(300, 30, true);
        assert_eq!(fixture.window(900, 1, false), 200);
        fixture.window(800, 10, true);
        assert_eq!(fixture.window(900, 1, false), 350);
        fixture.route.reset();
        assert_eq!(fixture.window(900, 1, false), 0);
    }

    #[test]
    fn a_rare_route_uses_a_window_without_load_up_to_32_windows_ago() {
        for (between, known) in [(31, 100), (32, 0)] {
            let mut fixture = Fixture::new();
            fixture.window(100, 1, true);
            for number in 0..between {
                fixture.window(0, 0, number % 8 == 0);
            }
            assert_eq!(
                fixture.window(900, 1, false),
                known,
                "{between} windows later"
            );
        }
    }

    #[test]
    fn a_call_that_is_counted_late_belongs_to_the_current_window() {
        let mut fixture = Fixture::new();
        let before = fixture.windows;
        fixture.window(900, 1, true);
        for _ in 0..29 {
            fixture.route.count(300, fixture.windows);
        }
        fixture.route.count(300, before);
        fixture.windows = fixture.windows.next(true);
        assert_eq!(fixture.window(900, 1, false), 600);
    }

    #[test]
    fn window_numbers_wrap_around() {
        let mut fixture = Fixture::new();
        fixture.windows = Windows(u64::from(u32::MAX) << 32);
        fixture.route.calls.lock().unwrap().window = u32::MAX;
        fixture.window(100, 1, true);
        assert_eq!(fixture.window(900, 1, false), 100);
    }
}
