//! When an alarm is raised and cleared, as pure code: a load and the time in, a change out.
//!
//! For the alarms of `plimsoll-metrics` and `plimsoll-stream`. Two levels and a time keep an alarm
//! from flapping.

use std::time::Duration;

use tokio::time::Instant;

/// A change of an alarm.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Change {
    /// The load was above [`high`](Marks::high) for [`after`](Marks::after).
    #[non_exhaustive]
    Raised {
        /// The load that was read last.
        load: f64,
        /// When the first load above [`high`](Marks::high) was read.
        since: Instant,
    },
    /// The load fell below [`low`](Marks::low).
    #[non_exhaustive]
    Cleared {
        /// The load that was read last.
        load: f64,
        /// When the alarm was raised.
        since: Instant,
    },
}

/// When an alarm changes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Marks {
    /// The alarm is raised when each load for [`after`](Self::after) was above this one.
    pub high: f64,
    /// The alarm is cleared by the first load below this one. Below [`high`](Self::high).
    pub low: f64,
    /// For how long loads must be above [`high`](Self::high). One load at or below it starts the
    /// time again. Zero raises the alarm with the first load.
    pub after: Duration,
}

/// Where the load of an alarm was last.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub enum Machine {
    /// Not raised, and the last load was not above the high mark.
    #[default]
    Calm,
    /// Above the high mark since then.
    Above(Instant),
    /// Raised then.
    Raised(Instant),
}

impl Machine {
    /// Observes a load that was read at `now`, and returns the change that it makes, if any.
    ///
    /// Loads must be observed in the order of their times. NaN counts as 0.
    pub fn observe(&mut self, marks: &Marks, load: f64, now: Instant) -> Option<Change> {
        // A load that is not a number counts as 0.
        let load = if load.is_nan() { 0.0 } else { load };
        match *self {
            Self::Raised(since) if load < marks.low => {
                *self = Self::Calm;
                Some(Change::Cleared { load, since })
            }
            Self::Calm | Self::Above(_) if load <= marks.high => {
                *self = Self::Calm;
                None
            }
            Self::Calm if !marks.after.is_zero() => {
                *self = Self::Above(now);
                None
            }
            Self::Calm => {
                *self = Self::Raised(now);
                Some(Change::Raised { load, since: now })
            }
            Self::Above(since) if now.saturating_duration_since(since) >= marks.after => {
                *self = Self::Raised(now);
                Some(Change::Raised { load, since })
            }
            Self::Raised(_) | Self::Above(_) => None,
        }
    }

    /// Returns whether the alarm is raised.
    pub const fn is_raised(&self) -> bool {
        matches!(self, Self::Raised(_))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const MARKS: Marks = Marks {
        high: 0.8,
        low: 0.6,
        after: Duration::from_secs(10),
    };

    /// Observes loads a second apart, and returns the seconds of the changes.
    fn changes(marks: &Marks, loads: &[f64]) -> Vec<(usize, bool)> {
        let (start, mut machine) = (Instant::now(), Machine::default());
        let at = |second: usize| start + Duration::from_secs(second as u64);
        let observed = loads.iter().enumerate().map(|(second, load)| {
            let change = machine.observe(marks, *load, at(second));
            change.map(|change| (second, matches!(change, Change::Raised { .. })))
        });
        observed.flatten().collect()
    }

    #[test]
    fn an_alarm_is_raised_after_its_time_and_cleared_below_the_lower_mark() {
        let mut loads = vec![0.9; 12];
        loads.extend([0.7, 0.61, 0.59, 0.9]);
        assert_eq!(changes(&MARKS, &loads), [(10, true), (14, false)]);
    }

    #[test]
    fn one_load_at_the_high_mark_starts_the_time_again() {
        let mut loads = vec![0.9; 10];
        loads.push(0.8);
        loads.extend([0.9; 11]);
        assert_eq!(changes(&MARKS, &loads), [(21, true)]);
    }

    #[test]
    fn without_a_time_the_first_load_above_the_mark_raises_it() {
        let marks = Marks {
            after: Duration::ZERO,
            ..MARKS
        };
        let loads = [0.8, 0.81, f64::NAN];
        assert_eq!(changes(&marks, &loads), [(1, true), (2, false)]);
    }
}
