//! Instants as integers, so that a decision fits into one atomic.

use std::{
    hash::{Hash, Hasher},
    sync::OnceLock,
    time::Duration,
};

use tokio::time::Instant;

/// Converts instants into nanoseconds since the first instant it was given.
///
/// A policy keeps one beside its atomics and passes it the `now` that it received; an epoch reads
/// no clock. A `u64` of nanoseconds lasts 584 years.
#[derive(Debug, Default, Clone)]
pub struct Epoch(OnceLock<Start>);

#[derive(Debug, Clone, Copy)]
struct Start {
    at: Instant,
    /// The [`Reading`] of `at`, if this platform's instants can be read.
    reading: Option<u64>,
}

impl Epoch {
    /// An epoch that starts with the first `now`.
    pub const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// Returns nanoseconds from the epoch to `now`, 0 for instants before the epoch.
    #[inline]
    pub fn nanos(&self, now: Instant) -> u64 {
        match self.0.get() {
            Some(Start {
                reading: Some(first),
                ..
            }) => {
                let nanos = Reading::of(now).wrapping_sub(*first);
                (nanos as i64).max(0) as u64
            }
            _ => self.nanos_subtracted(now),
        }
    }

    /// Returns the instant `nanos` after the epoch. `None` before the epoch has started.
    #[inline]
    pub fn instant(&self, nanos: u64) -> Option<Instant> {
        self.0.get()?.at.checked_add(Duration::from_nanos(nanos))
    }

    /// Returns the instant `nanos` after the epoch for [`Mark::is_after`].
    pub fn mark(&self, nanos: u64) -> Mark {
        let start = self.0.get().and_then(|start| start.reading);
        Mark(start.map_or(0, |start| start.saturating_add(nanos)))
    }

    #[cold]
    fn nanos_subtracted(&self, now: Instant) -> u64 {
        let start = self.0.get_or_init(|| Start {
            at: now,
            reading: Reading::checked(now),
        });
        now.saturating_duration_since(start.at).as_nanos() as u64
    }
}

/// An instant that is compared with others in a few instructions, made by [`Epoch::mark`].
///
/// It is a `u64`, so that it fits into an atomic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark(pub u64);

impl Mark {
    /// A mark that is after no instant.
    pub const NEVER: Self = Self(0);
    /// A mark that is after every instant.
    pub const ALWAYS: Self = Self(u64::MAX);

    /// Returns whether the mark is after `now`. On a platform whose instants cannot be read as
    /// numbers, always `false`: decide such calls by [`Epoch::nanos`].
    #[inline]
    pub fn is_after(self, now: Instant) -> bool {
        self.is_after_offset(now, 0)
    }

    /// As [`is_after`](Self::is_after), for the instant `nanos` after `start`.
    #[inline]
    pub fn is_after_offset(self, start: Instant, nanos: u64) -> bool {
        Reading::of(start).saturating_add(nanos) < self.0
    }
}

/// Returns nanoseconds from `earlier` to `later`, 0 if it is not later.
///
/// Performance: as an [`Epoch`], reads both instants instead of subtracting them. Out of line: an
/// acquiring load makes the compiler move the response once more (`instructions`, `adaptive@accept`).
#[inline(never)]
pub(crate) fn nanos_between(earlier: Instant, later: Instant) -> u64 {
    if CAN_READ.get() == Some(&true) {
        let nanos = Reading::of(later).wrapping_sub(Reading::of(earlier));
        return (nanos as i64).max(0) as u64;
    }
    nanos_subtracted(earlier, later)
}

/// Whether instants can be read on this platform; unset before the first use.
static CAN_READ: OnceLock<bool> = OnceLock::new();

#[cold]
#[inline(never)]
fn nanos_subtracted(earlier: Instant, later: Instant) -> u64 {
    CAN_READ.get_or_init(|| Reading::checked(later).is_some());
    later.saturating_duration_since(earlier).as_nanos() as u64
}

/// The nanoseconds of an instant since the start of its clock, read through `Hash`.
///
/// Performance: subtracting two instants took a tenth of a rate limit's decision (`instructions`,
/// `rate-limit@accept`). An instant exposes its seconds and nanoseconds only to a hasher. The
/// standard library does not promise what is hashed, so an epoch verifies it first, and subtracts
/// instants if the check fails.
#[derive(Default)]
struct Reading(u64);

const SECOND: u64 = 1_000_000_000;

/// By how many nanoseconds the instants of the check are later. Whatever the nanoseconds of the
/// first one, some of the steps cross into the next second.
const STEPS: [u64; 5] = [1, 500_000_000, 999_999_999, SECOND, 1_000_000_000_001];

impl Reading {
    #[inline]
    fn of(instant: Instant) -> u64 {
        let mut reading = Self::default();
        instant.hash(&mut reading);
        reading.finish()
    }

    /// Returns the reading, if readings of later instants differ from it by the nanoseconds between
    /// them.
    fn checked(instant: Instant) -> Option<u64> {
        let first = Self::of(instant);
        let matches = |nanos| {
            let later = instant.checked_add(Duration::from_nanos(nanos));
            later.map(Self::of) == Some(first.wrapping_add(nanos))
        };
        STEPS.into_iter().all(matches).then_some(first)
    }
}

impl Hasher for Reading {
    #[inline]
    fn write_u64(&mut self, secs: u64) {
        self.0 = self.0.wrapping_add(secs.wrapping_mul(SECOND));
    }

    #[inline]
    fn write_i64(&mut self, secs: i64) {
        self.write_u64(secs as u64);
    }

    #[inline]
    fn write_u32(&mut self, nanos: u32) {
        self.0 = self.0.wrapping_add(nanos.into());
    }

    /// Ignores input other than seconds and nanoseconds; the check then fails.
    fn write(&mut self, _: &[u8]) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Nanoseconds by subtraction, which does not depend on what an instant hashes.
    fn subtracted(start: Instant, now: Instant) -> u64 {
        now.saturating_duration_since(start).as_nanos() as u64
    }

    proptest! {
        #[test]
        fn nanos_equals_the_subtraction_of_instants(
            from in 0..10_000_000_000_u64, ahead in 0..u64::MAX >> 4, back in 0..10_000_000_000_u64,
        ) {
            let start = Instant::now() + Duration::from_nanos(from);
            let epoch = Epoch::new();
            prop_assert_eq!(epoch.nanos(start), 0);
            let later = start + Duration::from_nanos(ahead);
            prop_assert_eq!(epoch.nanos(later), ahead);
            prop_assert_eq!(epoch.nanos_subtracted(later), ahead);
            prop_assert_eq!(nanos_between(start, later), ahead);
            // Instants before the epoch count as 0.
            if let Some(before) = start.checked_sub(Duration::from_nanos(back)) {
                prop_assert_eq!(epoch.nanos(before), subtracted(start, before));
                prop_assert_eq!(nanos_between(start, before), 0);
            }
        }
    }

    #[test]
    fn instant_returns_the_time_after_the_epoch() {
        let (epoch, at) = (Epoch::new(), Instant::now());
        assert_eq!(epoch.instant(5), None);
        epoch.nanos(at);
        assert_eq!(epoch.instant(5), Some(at + Duration::from_nanos(5)));
    }

    #[test]
    fn a_mark_is_after_the_instants_before_it() {
        let (epoch, at) = (Epoch::new(), Instant::now());
        assert!(!epoch.mark(5).is_after(at), "the epoch has not started");
        epoch.nanos(at);
        let mark = epoch.mark(5);
        assert!(mark.is_after(at) && mark.is_after(at + Duration::from_nanos(4)));
        assert!(!mark.is_after(at + Duration::from_nanos(5)));
        assert!(mark.is_after_offset(at, 4) && !mark.is_after_offset(at, 5));
        assert!(!mark.is_after_offset(at, u64::MAX));
        assert!(Mark::ALWAYS.is_after(at) && !Mark::NEVER.is_after(at));
        assert!(epoch.mark(u64::MAX).is_after(at));
        let unreadable = Epoch(OnceLock::from(Start { at, reading: None }));
        assert!(!unreadable.mark(5).is_after(at));
    }

    #[test]
    fn an_epoch_whose_instants_cannot_be_read_subtracts() {
        let at = Instant::now();
        let epoch = Epoch(OnceLock::from(Start { at, reading: None }));
        let later = at + Duration::new(3, 7);
        assert_eq!(epoch.nanos(later), 3 * SECOND + 7);
        assert_eq!(epoch.nanos(at), 0);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn instants_can_be_read_here() {
        assert!(Reading::checked(Instant::now()).is_some());
    }
}
