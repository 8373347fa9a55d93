//! Controlled delay: leaves a queue alone that only smooths bursts, and shortens a standing one.
//!
//! This is the server's form of `CoDel` as in Facebook's folly: the least delay of each interval
//! decides whether the next interval is overloaded. The original (RFC 8289) drops at a rising rate,
//! to which senders respond by slowing down; callers of a service do not.

use std::time::Duration;

use tokio::time::Instant;

/// The delay that is too long, and how long it has to last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Control {
    pub(crate) target: Duration,
    pub(crate) interval: Duration,
}

/// The state of one queue. Pure: `now` is passed in.
#[derive(Debug, Default)]
pub(crate) struct Codel {
    /// The end of the interval; `None` before the first.
    ends: Option<Instant>,
    /// The least delay in this interval.
    least: Duration,
    /// Whether this interval is overloaded, by the delays of the last one.
    overloaded: bool,
}

impl Codel {
    /// Returns whether the waiter that is next and has waited for `delay` is rejected, while the
    /// queue's own delay is `standing`. The first waiter of an interval is never rejected.
    pub(crate) fn rejects(
        &mut self,
        Control { target, interval }: Control,
        standing: Duration,
        delay: Duration,
        now: Instant,
    ) -> bool {
        if self.ends.is_some_and(|ends| now <= ends) {
            self.least = self.least.min(standing);
            return self.overloaded && delay > 2 * target;
        }
        self.overloaded = self.least > target;
        self.ends = now.checked_add(interval);
        self.least = standing;
        false
    }

    /// Notes that the queue is empty: a new request would not be delayed.
    pub(crate) fn emptied(&mut self) {
        self.least = Duration::ZERO;
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);
    /// folly's defaults.
    const CONTROL: Control = Control {
        target: Duration::from_millis(5),
        interval: Duration::from_millis(100),
    };

    /// A waiter whose delay is the queue's: first come, first served.
    fn rejects(codel: &mut Codel, delay: u32, now: Instant) -> bool {
        codel.rejects(CONTROL, delay * MS, delay * MS, now)
    }

    /// folly's first call, with a delay of 100 ms, only records the delay, because folly starts
    /// with an interval that has ended. Here a whole interval starts, so that a burst right after
    /// the start is not cut short. So the state after that call is set by hand.
    #[test]
    fn it_rejects_as_in_the_test_vectors_of_folly() {
        let mut now = Instant::now();
        let mut codel = Codel {
            ends: Some(now),
            least: 100 * MS,
            overloaded: false,
        };
        for (sleep, delay, rejected) in [
            (90, 50, false), // the first of the next interval
            (0, 50, true),
            (110, 2, false), // the first of an interval again
            (90, 20, true),  // more than twice the target
        ] {
            now += sleep * MS;
            assert_eq!(rejects(&mut codel, delay, now), rejected, "{delay} ms");
        }
    }

    #[test]
    fn delays_up_to_twice_the_target_pass_and_one_short_delay_ends_an_overload() {
        let mut codel = Codel::default();
        let begin = Instant::now();
        for (at, delay, rejected) in [
            (0, 50, false), // starts the interval up to 100 ms
            (90, 6, false),
            (101, 50, false), // starts the interval up to 201 ms, which is overloaded
            (120, 10, false), // twice the target
            (130, 11, true),
            (140, 5, false),  // the target is not above the target
            (202, 50, false), // starts the interval up to 302 ms, which is not overloaded
            (210, 500, false),
            (303, 50, false), // starts an overloaded interval
            (304, 11, true),
        ] {
            let now = begin + at * MS;
            assert_eq!(rejects(&mut codel, delay, now), rejected, "at {at} ms");
        }
    }

    #[test]
    fn a_queue_that_was_empty_in_an_interval_is_not_overloaded_in_the_next() {
        let mut codel = Codel::default();
        let begin = Instant::now();
        for at in [0, 101] {
            assert!(!rejects(&mut codel, 50, begin + at * MS));
        }
        assert!(rejects(&mut codel, 50, begin + 110 * MS));
        codel.emptied();
        assert!(!rejects(&mut codel, 50, begin + 210 * MS));
        assert!(!rejects(&mut codel, 500, begin + 220 * MS));
    }

    proptest! {
        /// Compares with a list of everything that was seen.
        #[test]
        fn the_least_delay_of_the_last_interval_decides(
            steps in prop::collection::vec((0_u32..60, 0_u32..30), 1..100),
        ) {
            let mut codel = Codel::default();
            let mut now = Instant::now();
            // The end of each interval, and the delays in it.
            let mut intervals: Vec<(Instant, Vec<u32>)> = Vec::new();
            for (sleep, delay) in steps {
                now += sleep * MS;
                let rejected = rejects(&mut codel, delay, now);
                match intervals.last_mut() {
                    Some((ends, delays)) if now <= *ends => delays.push(delay),
                    _ => intervals.push((now + CONTROL.interval, vec![delay])),
                }
                let overloaded = intervals.len() > 1
                    && intervals[intervals.len() - 2].1.iter().all(|delay| *delay > 5);
                let is_first = intervals.last().unwrap().1.len() == 1;
                prop_assert_eq!(rejected, overloaded && !is_first && delay > 10);
            }
        }
    }
}
