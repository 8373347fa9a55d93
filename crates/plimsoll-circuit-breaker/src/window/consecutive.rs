//! Failures in a row.

use super::totals::Judged;
use crate::sync::{
    AtomicU32, AtomicU64,
    Ordering::{AcqRel, Relaxed},
};

/// The number of failures and slow calls since the latest good outcome.
///
/// A row starts again when its latest outcome is older than the longest age.
#[derive(Debug)]
pub(super) struct Consecutive {
    failures: AtomicU32,
    /// When the latest of them was recorded.
    latest: AtomicU64,
    max_age: u64,
}

impl Consecutive {
    pub(super) fn new(max_age: u64) -> Self {
        Self {
            failures: AtomicU32::new(0),
            latest: AtomicU64::new(0),
            max_age,
        }
    }

    /// Whether a success changes nothing.
    #[inline]
    pub(super) fn is_healthy(&self) -> bool {
        self.failures() == 0
    }

    pub(super) fn record(&self, judged: Judged, now: impl FnOnce() -> u64) {
        if !judged.failed && !judged.slow {
            return self.reset();
        }
        let now = now();
        let latest = self.latest.swap(now, AcqRel);
        if now.saturating_sub(latest) >= self.max_age {
            self.reset();
        }
        self.failures.fetch_add(1, AcqRel);
    }

    #[inline]
    pub(super) fn failures(&self) -> u32 {
        self.failures.load(Relaxed)
    }

    pub(super) fn reset(&self) {
        self.failures.store(0, Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const GOOD: Judged = Judged {
        failed: false,
        slow: false,
    };
    const FAILED: Judged = Judged {
        failed: true,
        slow: false,
    };
    const SLOW: Judged = Judged {
        failed: false,
        slow: true,
    };

    #[test]
    fn a_success_ends_the_row_and_a_slow_call_extends_it() {
        let row = Consecutive::new(100);
        assert!(row.is_healthy());
        for (judged, expected) in [(FAILED, 1), (SLOW, 2), (FAILED, 3), (GOOD, 0), (FAILED, 1)] {
            row.record(judged, || 5);
            assert_eq!(row.failures(), expected);
        }
        row.reset();
        assert!(row.is_healthy());
    }

    #[test]
    fn a_row_whose_latest_failure_is_too_old_starts_again() {
        let row = Consecutive::new(100);
        for (now, expected) in [(1, 1), (50, 2), (149, 3), (249, 1), (348, 2)] {
            row.record(FAILED, || now);
            assert_eq!(row.failures(), expected, "at {now}");
        }
    }
}
