//! When the alarm changes, as pure code: a load and the time in, a change out.

use std::time::Duration;

use tokio::time::Instant;

/// A change of an [`Alarm`](super::Alarm).
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Change {
    /// The load was above `high` for `after`.
    #[non_exhaustive]
    Raised {
        /// The load that was read last.
        load: f64,
        /// When the first load above `high` was read.
        since: Instant,
    },
    /// The load fell below `low`.
    #[non_exhaustive]
    Cleared {
        /// The load that was read last.
        load: f64,
        /// When the alarm was raised.
        since: Instant,
    },
}

/// The thresholds, checked by the builder.
#[derive(Debug, Clone, Copy)]
pub(super) struct Marks {
    pub(super) high: f64,
    pub(super) low: f64,
    pub(super) after: Duration,
}

/// Where the load was last.
#[derive(Debug, Clone, Copy, Default)]
pub(super) enum Machine {
    #[default]
    Calm,
    /// Above the high mark since then.
    Above(Instant),
    /// Raised then.
    Raised(Instant),
}

impl Machine {
    pub(super) fn observe(&mut self, marks: &Marks, load: f64, now: Instant) -> Option<Change> {
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
            Self::Calm => {
                *self = Self::Above(now);
                None
            }
            Self::Above(since) if now.saturating_duration_since(since) >= marks.after => {
                *self = Self::Raised(now);
                Some(Change::Raised { load, since })
            }
            Self::Raised(_) | Self::Above(_) => None,
        }
    }

    pub(super) const fn is_raised(&self) -> bool {
        matches!(self, Self::Raised(_))
    }
}
