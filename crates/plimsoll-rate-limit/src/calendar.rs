//! Windows that begin at times of the wall clock.

use std::time::Duration;

use plimsoll_core::policy::Epoch;
use tokio::time::Instant;

/// The period of a calendar window.
///
/// Windows begin on the hour, at midnight, or on Monday at midnight: in UTC, or at a fixed
/// [offset](crate::Quota::utc_offset_minutes) from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CalendarUnit {
    /// From one full hour to the next.
    Hour,
    /// From midnight to midnight.
    Day,
    /// From Monday, 00:00, to the next (ISO 8601).
    Week,
}

impl CalendarUnit {
    pub(crate) const ALL: [Self; 3] = [Self::Hour, Self::Day, Self::Week];

    /// The length of the window.
    pub const fn period(self) -> Duration {
        Duration::from_secs(match self {
            Self::Hour => 60 * 60,
            Self::Day => DAY,
            Self::Week => 7 * DAY,
        })
    }

    /// Seconds to add to Unix time so that windows begin at multiples of the period.
    pub(crate) const fn phase_secs(self, offset_minutes: i32) -> u64 {
        let since_monday = match self {
            // 1 January 1970 was a Thursday.
            Self::Week => 3 * DAY,
            Self::Hour | Self::Day => 0,
        };
        let shifted = since_monday as i64 + offset_minutes as i64 * 60;
        shifted
            .rem_euclid(self.period().as_secs() as i64)
            .unsigned_abs()
    }
}

const DAY: u64 = 24 * 60 * 60;
/// The largest UTC offset, in minutes: a day less a minute. Offsets in use go from -12 to +14
/// hours.
pub(crate) const MAX_OFFSET_MINUTES: u32 = 24 * 60 - 1;

/// The Unix time of a policy's epoch, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Anchor(u128);

impl Anchor {
    /// The epoch starts with Unix time, at 1970-01-01T00:00:00Z.
    pub(crate) const UNIX: Self = Self(0);

    /// An anchor for a wall clock that showed `since_1970` at `now`. Starts the epoch if it has not
    /// started.
    pub(crate) fn new(epoch: &Epoch, now: Instant, since_1970: Duration) -> Self {
        epoch.nanos(now);
        let start = epoch.instant(0).unwrap_or(now);
        let (since, until) = (
            now.saturating_duration_since(start),
            start.saturating_duration_since(now),
        );
        Self((since_1970 + until).saturating_sub(since).as_nanos())
    }

    /// Nanoseconds to add to times since the epoch so that windows begin at multiples of the
    /// period. Less than the period.
    pub(crate) fn shift(self, unit: CalendarUnit, offset_minutes: i32) -> u64 {
        let phase = u128::from(unit.phase_secs(offset_minutes)) * 1_000_000_000;
        ((self.0 + phase) % unit.period().as_nanos()) as u64
    }
}

/// Reads the monotonic clock and the wall clock.
///
/// The only clock reads of this crate: once per limit with a calendar window, when the first such
/// window is set.
#[allow(clippy::disallowed_methods, clippy::disallowed_types)]
pub(crate) fn both_clocks() -> (Instant, Duration) {
    let since_1970 = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    (Instant::now(), since_1970)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds since 1970 at 2026-11-28T21:30:00Z, a Saturday.
    const SATURDAY: u64 = 1_795_901_400;

    fn ends_in(unit: CalendarUnit, offset_minutes: i32) -> u64 {
        let (epoch, start) = (Epoch::new(), Instant::now());
        epoch.nanos(start);
        let five = Duration::from_secs(5);
        let anchor = Anchor::new(&epoch, start + five, Duration::from_secs(SATURDAY + 5));
        let unix = Duration::from_secs(SATURDAY);
        let early = Anchor::new(&epoch, start - five, Duration::from_secs(SATURDAY - 5));
        assert_eq!((anchor.0, early.0), (unix.as_nanos(), unix.as_nanos()));
        let shift = anchor.shift(unit, offset_minutes) / 1_000_000_000;
        unit.period().as_secs() - shift
    }

    #[test]
    fn windows_end_at_calendar_edges() {
        assert_eq!(ends_in(CalendarUnit::Hour, 0), 30 * 60);
        assert_eq!(ends_in(CalendarUnit::Day, 0), 150 * 60);
        assert_eq!(ends_in(CalendarUnit::Week, 0), 150 * 60 + DAY);
        // It is 03:00 on Sunday in India, 13:30 on Saturday in California.
        assert_eq!(ends_in(CalendarUnit::Day, 330), 21 * 3600);
        assert_eq!(ends_in(CalendarUnit::Week, 330), 21 * 3600);
        assert_eq!(ends_in(CalendarUnit::Hour, 330), 3600);
        assert_eq!(ends_in(CalendarUnit::Day, -480), 10 * 3600 + 1800);
        assert_eq!(ends_in(CalendarUnit::Week, -480), 34 * 3600 + 1800);
    }
}
