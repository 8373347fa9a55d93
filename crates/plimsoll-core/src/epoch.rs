//! Instants as integers, so that a decision fits one atomic.

use std::{
    hash::{Hash, Hasher},
    sync::OnceLock,
    time::Duration,
};

use tokio::time::Instant;

/// Turns instants into nanoseconds since the first one it was shown.
///
/// A policy keeps one beside its atomics and passes it the `now` it was handed. Nothing here reads a clock.
/// Nanoseconds in a `u64` last for 584 years.
#[derive(Debug, Default, Clone)]
pub struct Epoch(OnceLock<Start>);

#[derive(Debug, Clone, Copy)]
struct Start {
    at: Instant,
    /// What was [read](Reading) off `at`, where that can be done.
    reading: Option<u64>,
}

impl Epoch {
    /// An epoch that starts with the first `now`.
    pub const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// Nanoseconds from the epoch to `now`. Instants before the epoch count as 0.
    #[inline]
    pub fn nanos(&self, now: Instant) -> u64 {
        match self.0.get() {
            Some(Start {
                reading: Some(first),
                ..
            }) => {
                let nanos = Reading::of(now).wrapping_sub(*first);
                nanos.cast_signed().max(0).cast_unsigned()
            }
            _ => self.nanos_subtracted(now),
        }
    }

    /// The instant so many nanoseconds after the epoch; `None` before there is one.
    #[inline]
    pub fn instant(&self, nanos: u64) -> Option<Instant> {
        self.0.get()?.at.checked_add(Duration::from_nanos(nanos))
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

/// The nanoseconds of an instant, since whenever its clock began.
///
/// The subtraction of two instants was a tenth of what a rate limit cost. An instant shows its seconds and nanoseconds to nobody
/// but a hasher; so this is one. Nobody promises that they stay what is hashed: an epoch tries it out first, and subtracts where it
/// does not work.
#[derive(Default)]
struct Reading(u64);

const SECOND: u64 = 1_000_000_000;

impl Reading {
    #[inline]
    fn of(instant: Instant) -> u64 {
        let mut reading = Self::default();
        instant.hash(&mut reading);
        reading.0
    }

    /// The reading, if those of later instants differ from it by the nanoseconds between them.
    fn checked(instant: Instant) -> Option<u64> {
        let first = Self::of(instant);
        let tells = |nanos| {
            let later = instant.checked_add(Duration::from_nanos(nanos));
            later.map(Self::of) == Some(first.wrapping_add(nanos))
        };
        // Those in between change the second in one step or the other.
        let steps = [1, SECOND / 2, SECOND - 1, SECOND, 1000 * SECOND + 1];
        steps.into_iter().all(tells).then_some(first)
    }
}

impl Hasher for Reading {
    #[inline]
    fn write_u64(&mut self, secs: u64) {
        self.0 = self.0.wrapping_add(secs.wrapping_mul(SECOND));
    }

    #[inline]
    fn write_i64(&mut self, secs: i64) {
        self.write_u64(secs.cast_unsigned());
    }

    #[inline]
    fn write_u32(&mut self, nanos: u32) {
        self.0 = self.0.wrapping_add(nanos.into());
    }

    /// Something else than seconds and nanoseconds.
    fn write(&mut self, _: &[u8]) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Nanoseconds by subtraction, which has no need to know what an instant consists of.
    fn subtracted(start: Instant, now: Instant) -> u64 {
        now.saturating_duration_since(start).as_nanos() as u64
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_subtracting_tells(
            from in 0..10_000_000_000_u64, ahead in 0..u64::MAX >> 4, back in 0..10_000_000_000_u64,
        ) {
            let start = Instant::now() + Duration::from_nanos(from);
            let epoch = Epoch::new();
            prop_assert_eq!(epoch.nanos(start), 0);
            let later = start + Duration::from_nanos(ahead);
            prop_assert_eq!(epoch.nanos(later), ahead);
            prop_assert_eq!(epoch.nanos_subtracted(later), ahead);
            // Before the epoch nothing has passed.
            if let Some(before) = start.checked_sub(Duration::from_nanos(back)) {
                prop_assert_eq!(epoch.nanos(before), subtracted(start, before));
            }
        }
    }

    #[test]
    fn an_epoch_tells_the_instants_after_it() {
        let (epoch, at) = (Epoch::new(), Instant::now());
        assert_eq!(epoch.instant(5), None);
        epoch.nanos(at);
        assert_eq!(epoch.instant(5), Some(at + Duration::from_nanos(5)));
    }

    #[test]
    fn an_epoch_that_cannot_be_read_subtracts() {
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
