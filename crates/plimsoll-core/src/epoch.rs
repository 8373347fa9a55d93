//! Instants as integers, so that a decision fits one atomic.

use std::{sync::OnceLock, time::Duration};

use tokio::time::Instant;

/// Turns instants into nanoseconds since the first one it was shown.
///
/// A policy keeps one beside its atomics and passes it the `now` it was handed. Nothing here reads a clock.
/// Nanoseconds in a `u64` last for 584 years.
#[derive(Debug, Default, Clone)]
pub struct Epoch(OnceLock<Instant>);

impl Epoch {
    /// An epoch that starts with the first `now`.
    pub const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// Nanoseconds from the epoch to `now`. Instants before the epoch count as 0.
    #[inline]
    pub fn nanos(&self, now: Instant) -> u64 {
        let start = *self.0.get_or_init(|| now);
        now.saturating_duration_since(start).as_nanos() as u64
    }

    /// The instant so many nanoseconds after the epoch; `None` before there is one.
    #[inline]
    pub fn instant(&self, nanos: u64) -> Option<Instant> {
        self.0.get()?.checked_add(Duration::from_nanos(nanos))
    }
}
