//! Controlled delay: a queue that only smooths bursts is left alone, one that stands is cut short.
//!
//! The server's form of `CoDel` as in Facebook's folly: the least delay of each interval decides whether the next one is
//! overloaded. The original (RFC 8289) drops at a rising rate, which senders who slow down answer to; callers of a
//! service do not.

use std::time::Duration;

use tokio::time::Instant;

/// What is a bad delay, and how long it has to last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Control {
    pub(crate) target: Duration,
    pub(crate) interval: Duration,
}

/// The state of one queue. Pure: `now` is handed in.
#[derive(Debug, Default)]
pub(crate) struct Codel {
    /// When the interval is over; `None` before the first.
    ends: Option<Instant>,
    /// The least delay in this interval.
    least: Duration,
    /// What the last interval said of this one.
    overloaded: bool,
}

impl Codel {
    /// It is the turn of one that has waited for `delay`, while the queue's own delay is `standing`. Answers whether it
    /// is refused: never the first of an interval.
    pub(crate) fn refuses(
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

    /// Nobody waits: one that came now would not be delayed.
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

    /// One whose delay is the queue's: first come, first served.
    fn refuses(codel: &mut Codel, delay: u32, now: Instant) -> bool {
        codel.refuses(CONTROL, delay * MS, delay * MS, now)
    }

    /// Their first call, of one delayed by 100 ms, only notes the delay: folly begins with an interval that is over. Here a
    /// whole one begins, so that a burst that follows on the start is not cut short, and the state after that call is
    /// put in by hand.
    #[test]
    fn the_vectors_of_folly() {
        let mut now = Instant::now();
        let mut codel = Codel {
            ends: Some(now),
            least: 100 * MS,
            overloaded: false,
        };
        for (sleep, delay, refused) in [
            (90, 50, false), // the first of the next one
            (0, 50, true),
            (110, 2, false), // the first again
            (90, 20, true),  // more than twice the target
        ] {
            now += sleep * MS;
            assert_eq!(refuses(&mut codel, delay, now), refused, "{delay} ms");
        }
    }

    #[test]
    fn up_to_twice_the_target_is_never_too_long_and_one_short_delay_ends_an_overload() {
        let mut codel = Codel::default();
        let begin = Instant::now();
        for (at, delay, refused) in [
            (0, 50, false), // begins the interval up to 100
            (90, 6, false),
            (101, 50, false), // begins the interval up to 201, which is overloaded
            (120, 10, false), // twice the target
            (130, 11, true),
            (140, 5, false),  // the target is no overload
            (202, 50, false), // begins the interval up to 302, which is not
            (210, 500, false),
            (303, 50, false), // but the next is
            (304, 11, true),
        ] {
            let now = begin + at * MS;
            assert_eq!(refuses(&mut codel, delay, now), refused, "at {at} ms");
        }
    }

    #[test]
    fn a_queue_that_was_empty_in_an_interval_is_not_overloaded_in_the_next() {
        let mut codel = Codel::default();
        let begin = Instant::now();
        for at in [0, 101] {
            assert!(!refuses(&mut codel, 50, begin + at * MS));
        }
        assert!(refuses(&mut codel, 50, begin + 110 * MS));
        codel.emptied();
        assert!(!refuses(&mut codel, 50, begin + 210 * MS));
        assert!(!refuses(&mut codel, 500, begin + 220 * MS));
    }

    proptest! {
        /// Against a list of everything that was ever seen.
        #[test]
        fn it_is_the_least_delay_of_the_last_interval_that_decides(
            steps in prop::collection::vec((0_u32..60, 0_u32..30), 1..100),
        ) {
            let mut codel = Codel::default();
            let mut now = Instant::now();
            // Each interval: its end, and the delays in it.
            let mut intervals: Vec<(Instant, Vec<u32>)> = Vec::new();
            for (sleep, delay) in steps {
                now += sleep * MS;
                let refused = refuses(&mut codel, delay, now);
                match intervals.last_mut() {
                    Some((ends, delays)) if now <= *ends => delays.push(delay),
                    _ => intervals.push((now + CONTROL.interval, vec![delay])),
                }
                let overloaded = intervals.len() > 1
                    && intervals[intervals.len() - 2].1.iter().all(|delay| *delay > 5);
                let is_first = intervals.last().unwrap().1.len() == 1;
                prop_assert_eq!(refused, overloaded && !is_first && delay > 10);
            }
        }
    }
}
