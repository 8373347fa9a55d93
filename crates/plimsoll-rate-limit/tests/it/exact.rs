//! Slow, simple models of the algorithms: they log admissions and search for the wait.

use std::time::Duration;

use plimsoll_rate_limit::Quota;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counted {
    Bucket { burst: u32 },
    Fixed,
    Sliding,
}

/// A quota in whole numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) count: u32,
    /// Nanoseconds.
    pub(crate) period: u64,
    pub(crate) counted: Counted,
}

impl Terms {
    pub(crate) fn quota(self) -> Quota {
        let quota = Quota::new(self.count, Duration::from_nanos(self.period));
        match self.counted {
            Counted::Bucket { burst } => quota.burst(burst),
            Counted::Fixed => quota.fixed_window(),
            Counted::Sliding => quota.sliding_window(),
        }
    }

    /// The most that may be taken at once.
    pub(crate) fn most(self) -> u32 {
        match self.counted {
            Counted::Bucket { burst } => burst,
            Counted::Fixed | Counted::Sliding => self.count,
        }
    }

    /// Nanoseconds in which a bucket refills one token.
    pub(crate) fn increment(self) -> u64 {
        self.period.div_ceil(self.count.into())
    }
}

/// All admissions, as (time, cost), in order.
#[derive(Debug, Clone)]
pub(crate) struct Exact {
    terms: Terms,
    log: Vec<(u64, u64)>,
}

impl Exact {
    pub(crate) fn new(terms: Terms) -> Self {
        Self {
            terms,
            log: Vec::new(),
        }
    }

    /// Whether `cost` at this time is within the quota.
    pub(crate) fn fits(&self, at: u64, cost: u64) -> bool {
        let (count, period) = (u128::from(self.terms.count), u128::from(self.terms.period));
        let number = at / self.terms.period;
        let room = |taken: u64| count.checked_sub((taken + cost).into());
        cost == 0
            || match self.terms.counted {
                Counted::Bucket { burst } => {
                    let increment = i128::from(self.terms.increment());
                    let full = increment * i128::from(burst);
                    let (mut level, mut since) = (full, 0);
                    for (then, cost) in &self.log {
                        level = (level + i128::from(then - since)).min(full);
                        level -= increment * i128::from(*cost);
                        since = *then;
                    }
                    (level + i128::from(at - since)).min(full) >= increment * i128::from(cost)
                }
                Counted::Fixed => room(self.in_window(number)).is_some(),
                // before * left / period + taken + cost <= count, all times the period.
                Counted::Sliding => room(self.in_window(number)).is_some_and(|room| {
                    let before = number.checked_sub(1).map_or(0, |n| self.in_window(n));
                    let left = self.terms.period - at % self.terms.period;
                    u128::from(before) * u128::from(left) <= room * period
                }),
            }
    }

    fn in_window(&self, number: u64) -> u64 {
        let period = self.terms.period;
        let within = self.log.iter().filter(|(at, _)| at / period == number);
        within.map(|(_, cost)| cost).sum()
    }

    /// Takes the cost, or returns the shortest wait after which the same request is admitted.
    /// `None` for never.
    pub(crate) fn ask(&mut self, at: u64, cost: u32) -> Result<(), Option<u64>> {
        let units = u64::from(cost);
        if self.fits(at, units) {
            self.take(at, units);
            return Ok(());
        }
        if cost > self.terms.most() {
            return Err(None);
        }
        // A longer wait is never rejected, so bisection finds the shortest one.
        let (mut too_short, mut enough) = (0, 1);
        while !self.fits(at + enough, units) {
            (too_short, enough) = (enough, enough * 2);
        }
        while enough - too_short > 1 {
            let middle = too_short + (enough - too_short) / 2;
            if self.fits(at + middle, units) {
                enough = middle;
            } else {
                too_short = middle;
            }
        }
        Err(Some(enough))
    }

    /// Takes an unconditional cost.
    pub(crate) fn take(&mut self, at: u64, units: u64) {
        if !matches!(self.terms.counted, Counted::Bucket { .. }) {
            // Older windows no longer count.
            let (period, number) = (self.terms.period, at / self.terms.period);
            self.log.retain(|(then, _)| then / period + 1 >= number);
        }
        if units > 0 {
            self.log.push((at, units));
        }
    }

    /// Removes the last admission.
    pub(crate) fn remove_last(&mut self) {
        self.log.pop();
    }
}
