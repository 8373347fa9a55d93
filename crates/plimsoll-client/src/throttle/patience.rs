//! Whether a call that was cancelled before its answer indicates a hung callee. Pure.

use crate::sync::{AtomicU64, Ordering::Relaxed};

/// Run time after which a cancelled call may indicate a hung callee while no latency was measured,
/// in nanoseconds. A client that starts during an outage has no latency yet, and many timeouts are
/// a few 100 ms; a caller that cancels sooner says nothing about the callee. Too high fails
/// `a_hung_callee_is_detected_from_cancellations_alone`, too low
/// `callers_that_cancel_early_cause_no_rejection`.
const COLD: u64 = 100_000_000;
/// Weight of one answer in the mean latency, as a divisor. With 32 an answer of three times the
/// mean moves it by 6 %, and a new latency dominates the mean after 32 answers.
/// `the_mean_follows_the_latency` fails above 100.
const WEIGHT: u64 = 32;

/// When the callee last answered, and its mean latency. All times in nanoseconds.
#[derive(Debug)]
pub(crate) struct Patience {
    /// Mean time to the head of accepted calls; 0 before the first.
    mean: AtomicU64,
    /// End of the latest call that was answered.
    answered: AtomicU64,
}

impl Patience {
    pub(crate) fn new() -> Self {
        Self {
            mean: AtomicU64::new(0),
            answered: AtomicU64::new(0),
        }
    }

    /// Records that the callee answered at `now`, with any status.
    #[inline]
    pub(crate) fn answered(&self, now: u64) {
        self.answered.fetch_max(now, Relaxed);
    }

    /// Records the latency of an accepted call. Of two concurrent updates one may be lost: the mean
    /// needs no exact count.
    #[inline]
    pub(crate) fn accepted(&self, latency: u64) {
        let mean = self.mean.load(Relaxed);
        let next = match mean {
            0 => latency,
            _ => mean - mean / WEIGHT + latency / WEIGHT,
        };
        self.mean.store(next.max(1), Relaxed);
    }

    /// How many whole ticks a call waits for its head before it may indicate a hung callee: at least
    /// one, and twice the mean latency. `None` while no latency was measured.
    pub(crate) fn ticks(&self, tick: u64) -> Option<u32> {
        match self.mean.load(Relaxed) {
            0 => None,
            mean => u32::try_from(mean.saturating_mul(2).div_ceil(tick)).ok(),
        }
    }

    /// Whether a call that started at `started` and was cancelled after `ran` indicates a hung
    /// callee: it ran at least the mean latency, and no call was answered while it ran.
    pub(crate) fn is_overdue(&self, started: u64, ran: u64) -> bool {
        let enough = match self.mean.load(Relaxed) {
            0 => COLD,
            mean => mean,
        };
        ran >= enough && self.answered.load(Relaxed) <= started
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn a_cancelled_call_counts_after_the_mean_latency_and_without_any_answer() {
        let patience = Patience::new();
        assert!(
            !patience.is_overdue(0, 99 * MS),
            "no latency was measured yet"
        );
        assert!(patience.is_overdue(0, 100 * MS));
        (1..=100).for_each(|n| {
            patience.answered(20 * n * MS);
            patience.accepted(20 * MS);
        });
        assert!(!patience.is_overdue(3_000 * MS, 19 * MS), "cancelled early");
        assert!(patience.is_overdue(3_000 * MS, 20 * MS));
        assert!(
            !patience.is_overdue(1_999 * MS, 500 * MS),
            "other calls were answered"
        );
        assert!(patience.is_overdue(2_000 * MS, 500 * MS));
    }

    #[test]
    fn a_call_waits_for_twice_the_mean_latency_in_whole_ticks() {
        let patience = Patience::new();
        assert_eq!(patience.ticks(MS), None);
        patience.accepted(10 * MS);
        assert_eq!(patience.ticks(50 * MS), Some(1));
        assert_eq!(patience.ticks(20 * MS), Some(1));
        assert_eq!(patience.ticks(19 * MS), Some(2));
        assert_eq!(patience.ticks(1), Some(20 * MS as u32));
    }

    #[test]
    fn the_mean_follows_the_latency() {
        let patience = Patience::new();
        patience.accepted(0);
        assert!(
            patience.is_overdue(1, 1),
            "a latency of zero counts as measured"
        );
        (0..500).for_each(|_| patience.accepted(100 * MS));
        assert!(!patience.is_overdue(1, 99 * MS));
        assert!(patience.is_overdue(1, 101 * MS));
    }
}
