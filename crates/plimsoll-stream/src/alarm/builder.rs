//! The settings of an alarm, checked.

use std::time::Duration;

use plimsoll_core::{LoadSignal, alarm::Marks};

use super::watch::Alarm;

/// A setting of an alarm is out of bounds.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidAlarm {
    /// The threshold is not a finite load above 0.
    #[error("high must be finite and above 0, got {0}")]
    High(f64),
    /// The lower threshold is not between 0 and the higher one.
    #[error("low must be above 0 and below high, {high}, got {low}")]
    Low {
        /// The value.
        low: f64,
        /// The higher threshold.
        high: f64,
    },
    /// The time is 0.
    #[error("after must be longer than 0 s, got 0 s")]
    After,
    /// The interval is 0, or longer than `after`, in which several loads must be read.
    #[error("every must be longer than 0 s and at most after, {after:?}, got {every:?}")]
    Every {
        /// The value.
        every: Duration,
        /// The time for which the load must be above `high`.
        after: Duration,
    },
}

/// The settings of an [`Alarm`], checked together by [`build`](Self::build).
///
/// | setting | default |
/// |---|---|
/// | [`high`](Self::high), [`low`](Self::low) | 0.8 and 0.6 |
/// | [`after`](Self::after) | 10 s |
/// | [`every`](Self::every) | 1 s |
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build`"]
pub struct AlarmBuilder<L> {
    signal: L,
    marks: Marks,
    every: Duration,
}

/// Above 80 % a queue is about to act by its policy, and below 60 % it has room again.
const MARKS: Marks = Marks {
    high: 0.8,
    low: 0.6,
    after: Duration::from_secs(10),
};
const EVERY: Duration = Duration::from_secs(1);

impl<L: LoadSignal> Alarm<L> {
    /// Makes an alarm with the default settings.
    pub fn new(signal: L) -> Self {
        Self::with(signal, MARKS, EVERY)
    }

    /// Returns a builder with more settings.
    pub fn builder(signal: L) -> AlarmBuilder<L> {
        AlarmBuilder {
            signal,
            marks: MARKS,
            every: EVERY,
        }
    }
}

impl<L: LoadSignal> AlarmBuilder<L> {
    /// Sets the load above which the alarm is raised: finite and above 0. 1 is at capacity.
    pub fn high(mut self, load: f64) -> Self {
        self.marks.high = load;
        self
    }

    /// Sets the load below which the alarm is cleared: above 0 and below [`high`](Self::high).
    pub fn low(mut self, load: f64) -> Self {
        self.marks.low = load;
        self
    }

    /// Sets for how long the load must be above [`high`](Self::high) without a break: above 0 s.
    pub fn after(mut self, time: Duration) -> Self {
        self.marks.after = time;
        self
    }

    /// Sets how often [`Alarm::watch`] reads the load: above 0 s and at most [`after`](Self::after).
    pub fn every(mut self, interval: Duration) -> Self {
        self.every = interval;
        self
    }

    /// Makes the alarm, which is not raised.
    ///
    /// # Errors
    ///
    /// [`InvalidAlarm`] names the setting and its bounds.
    pub fn build(self) -> Result<Alarm<L>, InvalidAlarm> {
        let Marks { high, low, after } = self.marks;
        let every = self.every;
        if !(high.is_finite() && high > 0.0) {
            return Err(InvalidAlarm::High(high));
        }
        if !(low > 0.0 && low < high) {
            return Err(InvalidAlarm::Low { low, high });
        }
        if after.is_zero() {
            return Err(InvalidAlarm::After);
        }
        if every.is_zero() || every > after {
            return Err(InvalidAlarm::Every { every, after });
        }
        Ok(Alarm::with(self.signal, self.marks, every))
    }
}
