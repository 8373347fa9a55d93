//! Retries over the successes of the last seconds, with a minimum.

use std::{cmp::Ordering, time::Duration};

use plimsoll_core::policy::Epoch;
use tokio::time::Instant;

use super::unit::RETRY;
use crate::sync::{AtomicU64, Mutex, Ordering::Relaxed, lock};

/// The number of periods in a window. Ten: the window moves in tenths, so its length is exact to a
/// tenth. `a_window_moves_in_tenths_of_itself` fails with one.
const PERIODS: usize = 10;

pub(super) struct Recent {
    ratio: u64,
    at_least: u64,
    /// The length of a period, in nanoseconds.
    period: u64,
    epoch: Epoch,
    /// For each period its number (32 bits) and its successes (32 bits).
    successes: [AtomicU64; PERIODS],
    /// For each period its number and its retries. A lock, since a retry must compare the sum of
    /// all periods and add to one of them in one step. Failures only come here.
    retries: Mutex<[(u64, u64); PERIODS]>,
}

impl Recent {
    pub(super) fn new(ratio: u64, at_least: u32, window: Duration) -> Self {
        Self {
            ratio,
            at_least: u64::from(at_least) * RETRY,
            period: (window.as_nanos() as u64 / PERIODS as u64).max(1),
            epoch: Epoch::new(),
            successes: std::array::from_fn(|_| AtomicU64::new(0)),
            retries: Mutex::new([(0, 0); PERIODS]),
        }
    }

    pub(super) fn success(&self, now: Instant) {
        self.success_in(self.period_at(now));
    }

    /// Returns the period in which the retry was taken.
    pub(super) fn take(&self, now: Instant) -> Option<u64> {
        let period = self.period_at(now);
        self.take_in(period).then_some(period)
    }

    pub(super) fn put_back(&self, period: u64) {
        let mut retries = lock(&self.retries);
        let (number, count) = &mut retries[index(period)];
        if *number == period {
            *count = count.saturating_sub(1);
        }
    }

    pub(super) fn available(&self, now: Instant) -> u64 {
        let period = self.period_at(now);
        let spent = spent(&lock(&self.retries), period);
        self.allowed(period).saturating_sub(spent)
    }

    /// Periods are numbered from 1, so that an unused place, which has number 0, counts nowhere.
    fn period_at(&self, now: Instant) -> u64 {
        1 + PERIODS as u64 + self.epoch.nanos(now) / self.period
    }

    pub(super) fn success_in(&self, period: u64) {
        let tag = period & u64::from(u32::MAX);
        let more = |place: u64| {
            let (number, count) = (place >> 32, place & u64::from(u32::MAX));
            match number.cmp(&tag) {
                Ordering::Equal => (count < u64::from(u32::MAX)).then_some(place + 1),
                Ordering::Less => Some((tag << 32) | 1),
                // This thread is a whole window late.
                Ordering::Greater => None,
            }
        };
        _ = self.successes[index(period)].fetch_update(Relaxed, Relaxed, more);
    }

    pub(super) fn take_in(&self, period: u64) -> bool {
        let mut retries = lock(&self.retries);
        if spent(&retries, period) + RETRY > self.allowed(period) {
            return false;
        }
        let (number, count) = &mut retries[index(period)];
        if *number < period {
            (*number, *count) = (period, 0);
        }
        *count += 1;
        true
    }

    /// What the window that ends with this period allows, in millionths of a retry.
    fn allowed(&self, period: u64) -> u64 {
        let tag = period & u64::from(u32::MAX);
        let places = self.successes.iter().map(|place| place.load(Relaxed));
        let recent = places.filter(|place| is_recent(place >> 32, tag));
        let successes: u64 = recent.map(|place| place & u64::from(u32::MAX)).sum();
        self.at_least.max(successes.saturating_mul(self.ratio))
    }
}

fn spent(retries: &[(u64, u64); PERIODS], period: u64) -> u64 {
    let recent = retries
        .iter()
        .filter(|(number, _)| is_recent(*number, period));
    recent.map(|(_, count)| count * RETRY).sum()
}

fn is_recent(number: u64, period: u64) -> bool {
    number <= period && number + PERIODS as u64 > period
}

fn index(period: u64) -> usize {
    (period % PERIODS as u64) as usize
}
