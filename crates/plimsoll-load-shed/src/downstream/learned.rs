//! The threshold of the other side, as it last said.

use std::time::Duration;

use plimsoll_core::Epoch;
use tokio::time::Instant;

use crate::sync::{AtomicU64, Ordering::Relaxed};

/// Milliseconds take the lower 48 bits, which is 8,900 years; the threshold is above them.
const MILLIS: u32 = 48;
const MASK: u64 = (1 << MILLIS) - 1;
/// Nothing was said yet.
const NOTHING: u64 = u64::MAX;

/// What was said and when, in one word, and when the next request below it may pass.
#[derive(Debug)]
pub(crate) struct Learned {
    said: AtomicU64,
    /// Milliseconds.
    next_probe: AtomicU64,
    epoch: Epoch,
}

impl Learned {
    pub(crate) fn new() -> Self {
        Self {
            said: AtomicU64::new(NOTHING),
            next_probe: AtomicU64::new(0),
            epoch: Epoch::new(),
        }
    }

    fn millis(&self, now: Instant) -> u64 {
        self.epoch.nanos(now) / 1_000_000
    }

    /// The other side said this in answer to a call that began at `asked`. An answer to an earlier call does not change it.
    pub(crate) fn learn(&self, threshold: u16, asked: Instant, every: Duration) {
        let millis = self.millis(asked);
        let word = u64::from(threshold) << MILLIS | (millis & MASK);
        let newer = |said: u64| {
            let takes = said == NOTHING || said & MASK <= word & MASK;
            (takes && said != word).then_some(word)
        };
        let before = self.said.fetch_update(Relaxed, Relaxed, newer);
        if threshold > 0 && before.is_ok_and(|said| said == NOTHING || said <= MASK) {
            // Just heard: no need to ask again.
            let next = millis.saturating_add(every.as_millis() as u64);
            self.next_probe.fetch_max(next, Relaxed);
        }
    }

    /// What the other side said, unless it is older than `expires`; then 0.
    #[inline]
    pub(crate) fn threshold(&self, now: Instant, expires: Duration) -> u16 {
        let said = self.said.load(Relaxed);
        // Nothing, or that nothing is shed: the usual, and no need to know the time.
        if said == NOTHING || said <= MASK {
            return 0;
        }
        let age = self.millis(now).saturating_sub(said & MASK);
        if u128::from(age) > expires.as_millis() {
            return 0;
        }
        (said >> MILLIS) as u16
    }

    /// Whether a request that is below the threshold may pass all the same, to see: one in `every`.
    pub(crate) fn probes(&self, now: Instant, every: Duration) -> bool {
        let now = self.millis(now);
        let next = self.next_probe.load(Relaxed);
        let then = now.saturating_add(every.as_millis() as u64);
        now >= next
            && self
                .next_probe
                .compare_exchange(next, then, Relaxed, Relaxed)
                .is_ok()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_answer_to_the_latest_call_counts_until_it_expires() {
        let (learned, start) = (Learned::new(), Instant::now());
        assert_eq!(learned.threshold(start, SECOND), 0);
        learned.learn(0, start, SECOND);
        learned.learn(200, start + SECOND, SECOND);
        learned.learn(500, start, SECOND);
        assert_eq!(learned.threshold(start + SECOND, SECOND), 200);
        assert_eq!(learned.threshold(start + 2 * SECOND, SECOND), 200);
        assert_eq!(learned.threshold(start + 3 * SECOND, SECOND), 0);
        learned.learn(0, start + 3 * SECOND, SECOND);
        assert_eq!(learned.threshold(start + 3 * SECOND, SECOND), 0);
    }

    #[test]
    fn one_probe_passes_in_each_period() {
        let (learned, start) = (Learned::new(), Instant::now());
        learned.learn(200, start, SECOND);
        let passed = (0..100)
            .filter(|n| learned.probes(start + *n * SECOND / 10, SECOND))
            .count();
        assert_eq!(passed, 9, "none in the first");
    }
}
