//! Whether a call that was cancelled without an answer shows a hung callee: pure.

use crate::sync::{AtomicU64, Ordering::Relaxed};

/// Run time after which a cancelled call may show a hung callee while no latency is known.
/// Nanoseconds. A client that starts during an outage knows none, and many timeouts are a few
/// 100 ms; callers that leave sooner say nothing about the callee. Too high fails
/// `a_hung_callee_is_noticed_by_cancellations_alone`, too low
/// `callers_that_leave_early_cost_patient_callers_nothing`.
const COLD: u64 = 100_000_000;
/// Weight of one answer in the mean latency, as a divisor. With 32 an answer of three times the
/// mean moves it by 6 %, and a new latency is most of the mean after 32 answers:
/// `the_mean_follows_the_latency` fails above 100.
const WEIGHT: u64 = 32;

/// When the callee last answered, and after which time it does. All times in nanoseconds.
#[derive(Debug)]
pub(crate) struct Patience {
    /// Mean time to the head of accepted calls; 0 while none is known.
    mean: AtomicU64,
    /// The end of the latest call that was answered.
    answered: AtomicU64,
}

impl Patience {
    pub(crate) fn new() -> Self {
        Self {
            mean: AtomicU64::new(0),
            answered: AtomicU64::new(0),
        }
    }

    /// The callee answered at `now`, whatever it said.
    #[inline]
    pub(crate) fn answered(&self, now: u64) {
        self.answered.fetch_max(now, Relaxed);
    }

    /// A call was accepted after this time. Of two threads that report at once, one may be lost:
    /// the mean needs no exact count.
    #[inline]
    pub(crate) fn accepted(&self, latency: u64) {
        let mean = self.mean.load(Relaxed);
        let next = match mean {
            0 => latency,
            _ => mean - mean / WEIGHT + latency / WEIGHT,
        };
        self.mean.store(next.max(1), Relaxed);
    }

    /// Whether a call that started at `started` and was cancelled after `ran` shows a hung callee:
    /// it had the time that answers take, and no call at all was answered while it ran.
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
    fn a_cancelled_call_counts_only_with_time_enough_and_no_answer_to_any_call() {
        let patience = Patience::new();
        assert!(!patience.is_overdue(0, 99 * MS), "nothing is known yet");
        assert!(patience.is_overdue(0, 100 * MS));
        (1..=100).for_each(|n| {
            patience.answered(20 * n * MS);
            patience.accepted(20 * MS);
        });
        assert!(!patience.is_overdue(3_000 * MS, 19 * MS), "it left early");
        assert!(patience.is_overdue(3_000 * MS, 20 * MS));
        assert!(
            !patience.is_overdue(1_999 * MS, 500 * MS),
            "others were answered"
        );
        assert!(patience.is_overdue(2_000 * MS, 500 * MS));
    }

    #[test]
    fn the_mean_follows_the_latency() {
        let patience = Patience::new();
        patience.accepted(0);
        assert!(patience.is_overdue(1, 1), "an instant answer is known, too");
        (0..500).for_each(|_| patience.accepted(100 * MS));
        assert!(!patience.is_overdue(1, 99 * MS));
        assert!(patience.is_overdue(1, 101 * MS));
    }
}
