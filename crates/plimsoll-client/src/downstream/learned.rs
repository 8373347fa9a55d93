//! The callee's threshold, as most of its recent responses announce it.

use std::{sync::PoisonError, time::Duration};

use plimsoll_core::policy::Epoch;
use tokio::time::Instant;

use super::share::{HALF, Share};
use crate::sync::{
    AtomicU64, Mutex, MutexGuard,
    Ordering::{AcqRel, Relaxed},
};

/// Bits of the time, in milliseconds (8,900 years); the threshold is stored above them.
const MILLIS: u32 = 48;
const MASK: u64 = (1 << MILLIS) - 1;

/// The threshold in force, the time of its last confirmation, and the time of the next probe.
#[derive(Debug)]
pub(crate) struct Learned {
    /// Threshold and time in one word. 0 while there is no threshold.
    in_force: AtomicU64,
    /// Calls since `share` was last updated.
    sent: AtomicU64,
    /// The half window in which calls are counted.
    half: AtomicU64,
    share: Mutex<Share>,
    /// In milliseconds.
    next_probe: AtomicU64,
    epoch: Epoch,
}

impl Learned {
    pub(crate) fn new() -> Self {
        Self {
            in_force: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            half: AtomicU64::new(0),
            share: Mutex::new(Share::new()),
            next_probe: AtomicU64::new(0),
            epoch: Epoch::new(),
        }
    }

    fn millis(&self, now: Instant) -> u64 {
        self.epoch.nanos(now) / 1_000_000
    }

    /// Records that a call is sent now.
    #[inline]
    pub(crate) fn sends(&self, now: Instant) {
        let half = self.millis(now) / HALF;
        if half > self.half.load(Relaxed) {
            self.turn(half);
        }
        self.sent.fetch_add(1, Relaxed);
    }

    /// Undoes `sends`: the call admitted at `admitted` was not sent. A call of an earlier half
    /// stays counted; subtracting it from a later half would overstate that half's share.
    pub(crate) fn take_back(&self, admitted: Instant) {
        if self.millis(admitted) / HALF == self.half.load(Relaxed) {
            let less = |sent: u64| sent.checked_sub(1);
            _ = self.sent.fetch_update(Relaxed, Relaxed, less);
        }
    }

    #[cold]
    fn turn(&self, half: u64) {
        let mut share = self.share();
        if half > share.number() {
            // The calls so far belong to the half that ends.
            share.turn(half, self.sent.swap(0, AcqRel));
            self.half.store(half, Relaxed);
        }
    }

    fn share(&self) -> MutexGuard<'_, Share> {
        self.share.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that a call sent at `asked` was answered with this threshold.
    #[inline]
    pub(crate) fn learn(&self, threshold: u16, asked: Instant, expires: Duration, every: Duration) {
        // The common case: the callee sheds nothing, and neither does this client.
        if threshold > 0 || self.in_force.load(Relaxed) > 0 {
            self.weigh(threshold, asked, expires, every);
        }
    }

    #[cold]
    fn weigh(&self, threshold: u16, asked: Instant, expires: Duration, every: Duration) {
        let millis = self.millis(asked);
        let mut share = self.share();
        let half = share.number();
        share.turn(half, self.sent.swap(0, AcqRel));
        share.answered(millis / HALF, threshold);
        let before = self.threshold(asked, expires);
        let then = share.threshold(before);
        self.put_in_force(before, then, threshold >= then, millis);
        drop(share);
        if before == 0 && then > 0 {
            // The threshold is new, so the next probe can wait.
            self.next_probe.fetch_max(after(millis, every), Relaxed);
        }
    }

    /// Records that the probe sent at `asked` was answered with this threshold. A lower threshold
    /// takes effect at once, since the calls that would confirm it are not sent.
    #[cold]
    pub(crate) fn learn_by_probe(&self, threshold: u16, asked: Instant, expires: Duration) {
        let millis = self.millis(asked);
        let mut share = self.share();
        let before = self.threshold(asked, expires);
        if threshold < before {
            share.clear();
            self.sent.store(0, Relaxed);
        } else {
            share.answered(millis / HALF, threshold);
        }
        self.put_in_force(before, threshold.min(before), true, millis);
    }

    /// Puts `then` in force. An answer with at least this threshold confirms it.
    fn put_in_force(&self, before: u16, then: u16, confirmed: bool, millis: u64) {
        let word = u64::from(then) << MILLIS;
        let confirmed_at = self.in_force.load(Relaxed) & MASK;
        let when = if confirmed || then != before {
            confirmed_at.max(millis & MASK)
        } else {
            confirmed_at
        };
        self.in_force
            .store(if then > 0 { word | when } else { 0 }, Relaxed);
    }

    /// The threshold in force, or 0 when it was last confirmed more than `expires` ago.
    #[inline]
    pub(crate) fn threshold(&self, now: Instant, expires: Duration) -> u16 {
        let word = self.in_force.load(Relaxed);
        // Performance: in the common case nothing is shed, and the time is not computed.
        if word == 0 {
            return 0;
        }
        let age = self.millis(now).saturating_sub(word & MASK);
        if u128::from(age) > expires.as_millis() {
            return 0;
        }
        (word >> MILLIS) as u16
    }

    /// Whether a request below the threshold may be sent as a probe: one per `every`.
    pub(crate) fn probes(&self, now: Instant, every: Duration) -> bool {
        let now = self.millis(now);
        let next = self.next_probe.load(Relaxed);
        now >= next
            && self
                .next_probe
                .compare_exchange(next, after(now, every), Relaxed, Relaxed)
                .is_ok()
    }

    /// Undoes `probes`: the probe of `admitted` was not sent, so the next request may be one.
    pub(crate) fn take_back_probe(&self, admitted: Instant, every: Duration) {
        let admitted = self.millis(admitted);
        let taken = after(admitted, every);
        _ = self
            .next_probe
            .compare_exchange(taken, admitted, Relaxed, Relaxed);
    }
}

fn after(millis: u64, every: Duration) -> u64 {
    millis.saturating_add(every.as_millis() as u64)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn learn(learned: &Learned, threshold: u16, asked: Instant) {
        learned.sends(asked);
        learned.learn(threshold, asked, SECOND, SECOND);
    }

    #[test]
    fn a_threshold_expires_unless_it_is_confirmed() {
        let (learned, start) = (Learned::new(), Instant::now());
        assert_eq!(learned.threshold(start, SECOND), 0);
        (0..4).for_each(|_| learn(&learned, 200, start));
        assert_eq!(learned.threshold(start + SECOND, SECOND), 200);
        assert_eq!(learned.threshold(start + 2 * SECOND, SECOND), 0);
        learn(&learned, 200, start + SECOND);
        assert_eq!(learned.threshold(start + 2 * SECOND, SECOND), 200);
        learn(&learned, 0, start + 2 * SECOND);
        assert_eq!(learned.threshold(start + 2 * SECOND, SECOND), 200);
        assert_eq!(
            learned.threshold(start + 3 * SECOND, SECOND),
            0,
            "no confirmation"
        );
    }

    #[test]
    fn a_lower_threshold_in_the_answer_to_a_probe_takes_effect_at_once() {
        let (learned, start) = (Learned::new(), Instant::now());
        (0..90).for_each(|_| learn(&learned, 500, start));
        learned.learn_by_probe(500, start, SECOND);
        learned.learn_by_probe(511, start, SECOND);
        assert_eq!(learned.threshold(start, SECOND), 500);
        learned.learn_by_probe(100, start, SECOND);
        assert_eq!(learned.threshold(start, SECOND), 100);
        learned.learn_by_probe(0, start, SECOND);
        assert_eq!(learned.threshold(start, SECOND), 0);
    }

    #[test]
    fn one_probe_is_sent_per_period_and_a_probe_that_was_not_sent_is_replaced() {
        let (learned, start) = (Learned::new(), Instant::now());
        (0..4).for_each(|_| learn(&learned, 200, start));
        let probes: Vec<_> = (0..100)
            .map(|n| start + n * SECOND / 10)
            .filter(|now| learned.probes(*now, SECOND))
            .collect();
        assert_eq!(probes.len(), 9, "no probe in the first period");
        let last = probes[8];
        assert!(!learned.probes(last, SECOND));
        learned.take_back_probe(last, SECOND);
        assert!(learned.probes(last, SECOND));
        assert!(!learned.probes(last, SECOND));
    }
}
