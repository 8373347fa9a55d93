//! When a window ends.

use std::{fmt, ops::RangeInclusive, time::Duration};

/// The time of a window.
const TIME: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(3600);
/// The calls of a window.
const SAMPLES: RangeInclusive<u32> = 1..=1 << 20;

/// How much a window holds. The first call that ends when the window has both closes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowSize {
    /// The least duration.
    pub time: Duration,
    /// The least number of answered and dropped calls, or of cancelled ones; at least one in any case.
    ///
    /// A window that holds fewer continues: at low rates no sample is lost, and while calls are
    /// only cancelled no window ends.
    pub samples: u32,
}

/// A [`WindowSize`] is out of bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidWindowSize {
    /// The time of a window is out of bounds.
    Time(Duration),
    /// The calls of a window are 0 or too many.
    Samples(u32),
}

impl fmt::Display for InvalidWindowSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(got) => write!(
                f,
                "window time must be 1 millisecond to 1 hour, got {got:?}"
            ),
            Self::Samples(got) => write!(f, "window samples must be in 1..=2^20, got {got}"),
        }
    }
}

impl std::error::Error for InvalidWindowSize {}

impl WindowSize {
    pub(super) fn check(self) -> Result<(), InvalidWindowSize> {
        if !TIME.contains(&self.time) {
            return Err(InvalidWindowSize::Time(self.time));
        }
        if !SAMPLES.contains(&self.samples) {
            return Err(InvalidWindowSize::Samples(self.samples));
        }
        Ok(())
    }
}
