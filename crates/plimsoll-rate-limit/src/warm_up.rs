//! Warm-up: the rate rises after an idle time.

use std::{sync::PoisonError, time::Duration};

use plimsoll_core::policy::Live;

use crate::{
    InvalidWarmUp,
    bounds::{MAX_COLD, MAX_PERIOD},
    share::Share,
    sync::Mutex,
};

/// After an idle time, the rate begins at a fraction of the quota's and rises linearly to all of
/// it.
///
/// After an idle time a service has cold caches and few open connections. It fails under a load
/// that it handles a minute later. A new limit starts cold, too. During the warm-up the burst
/// shrinks in proportion to the rate, but never below one request of any cost.
///
/// The next token is due when the integral of the rate over time reaches one. So a request that is
/// admitted at a thousandth of the rate does not delay the next one by a thousand intervals once
/// the rate has risen. (The bucket runs on a clock that is slow during the warm-up.)
///
/// (Guava and Sentinel warm up by tokens spent instead of by time, so the duration of their warm-up
/// depends on the traffic.)
///
/// ```
/// use std::time::Duration;
/// use plimsoll_rate_limit::{Quota, RateLimit, WarmUp};
///
/// // From a third to all of 900 per second within 30 s, after 60 s without a request.
/// let warm_up = WarmUp::new(3, Duration::from_secs(30)).after_idle(Duration::from_secs(60));
/// let limit = RateLimit::new(Quota::per_second(900).burst(90))?.warm_up(warm_up)?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields)
)]
#[must_use]
pub struct WarmUp {
    cold: u32,
    #[cfg_attr(
        feature = "serde",
        serde(with = "plimsoll_core::support::serde_text::duration")
    )]
    over: Duration,
    #[cfg_attr(
        feature = "serde",
        serde(with = "plimsoll_core::support::serde_text::duration")
    )]
    idle: Duration,
}

impl WarmUp {
    /// Warms up from `1 / cold` of the rate to all of it within `over`, after an idle time of
    /// `over`.
    pub const fn new(cold: u32, over: Duration) -> Self {
        Self {
            cold,
            over,
            idle: over,
        }
    }

    /// Sets the idle time after which a warm-up begins, measured from when the bucket was full.
    pub const fn after_idle(mut self, idle: Duration) -> Self {
        self.idle = idle;
        self
    }

    fn words(self) -> Result<[u64; 3], InvalidWarmUp> {
        let Self { cold, over, idle } = self;
        if cold == 0 || cold > MAX_COLD {
            return Err(InvalidWarmUp::Cold(cold));
        }
        for (field, duration) in [("over", over), ("idle", idle)] {
            if duration.is_zero() || duration > MAX_PERIOD {
                return Err(InvalidWarmUp::Duration { field, duration });
            }
        }
        Ok([cold.into(), over.as_nanos() as u64, idle.as_nanos() as u64])
    }

    /// The largest `cold`: a start at a thousandth of the rate.
    pub const MAX_COLD: u32 = MAX_COLD;
}

/// A warm-up in use.
#[derive(Debug)]
pub(crate) struct Warming {
    settings: Live<3, 4>,
    /// The newest ramp, and the generation of the settings it was made of.
    ramp: Live<5, 8>,
    changing: Mutex<()>,
}

/// A clock that is slow during the warm-up, so that on it the rate is always the full rate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ramp {
    /// When the last warm-up began.
    since: u64,
    /// How far the clock was behind at that time, modulo 2^64: a change of settings may make it
    /// negative.
    lost: u64,
    cold: u64,
    over: u64,
    generation: u64,
}

impl Ramp {
    /// The time on this clock.
    pub(crate) fn time(self, now: u64) -> u64 {
        now.wrapping_sub(self.lost(now))
    }

    /// How far the clock is behind: the integral of `1 - rate`, where the rate is `1/cold + (1 -
    /// 1/cold) * t/over`.
    fn lost(self, now: u64) -> u64 {
        let gone = u128::from(now.saturating_sub(self.since).min(self.over));
        let (cold, over) = (u128::from(self.cold.max(1)), u128::from(self.over.max(1)));
        // No overflow: times have 55 bits, and `cold` 10.
        let lost = ((cold - 1) * gone * (2 * over - gone)).div_ceil(2 * over * cold);
        self.lost.wrapping_add(lost as u64)
    }

    /// The share of the burst that the bucket holds.
    pub(crate) fn share(self, now: u64) -> Share {
        Share::warming(self.cold as u32, now.saturating_sub(self.since), self.over)
    }

    /// Nanoseconds until this clock has advanced by `wait`.
    pub(crate) fn until(self, now: u64, wait: u64) -> u64 {
        let due = self.time(now).saturating_add(wait);
        let end = now.max(self.since.saturating_add(self.over));
        let lost = self.lost(end).wrapping_sub(self.lost(now));
        // Bounds: at least `wait`, and at most `wait` plus all that the clock can still lose.
        let (mut too_short, mut enough) = (wait, wait.saturating_add(lost));
        if wait == 0 || self.time(now.saturating_add(wait)) >= due {
            return wait;
        }
        while enough - too_short > 1 {
            let middle = too_short + (enough - too_short) / 2;
            if self.time(now.saturating_add(middle)) >= due {
                enough = middle;
            } else {
                too_short = middle;
            }
        }
        enough
    }
}

impl Warming {
    pub(crate) fn new(warm_up: WarmUp) -> Result<Self, InvalidWarmUp> {
        let words = warm_up.words()?;
        let [cold, over, _] = words;
        Ok(Self {
            settings: Live::new(words),
            ramp: Live::new([0, 0, cold, over, 0]),
            changing: Mutex::new(()),
        })
    }

    /// The newest ramp. Does not check whether another one is due.
    pub(crate) fn ramp(&self) -> Ramp {
        let (_, [since, lost, cold, over, generation]) = self.ramp.read();
        Ramp {
            since,
            lost,
            cold,
            over,
            generation,
        }
    }

    /// The ramp for a decision. Begins another ramp after an idle time. `full_at` is when the
    /// bucket is full, on its own clock.
    pub(crate) fn ramp_at(&self, full_at: u64, now: u64) -> Ramp {
        let ramp = self.ramp();
        if self.is_over(ramp, full_at, now) {
            self.begin(full_at, now)
        } else {
            ramp
        }
    }

    fn is_over(&self, ramp: Ramp, full_at: u64, now: u64) -> bool {
        let (generation, [_, _, idle]) = self.settings.read::<3>();
        ramp.generation != generation || is_idle(ramp, full_at, now, idle)
    }

    #[cold]
    fn begin(&self, full_at: u64, now: u64) -> Ramp {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.ramp();
        // Another thread may have begun it.
        if !self.is_over(old, full_at, now) {
            return old;
        }
        let (generation, [cold, over, idle]) = self.settings.read();
        let idle = is_idle(old, full_at, now, idle);
        let mut ramp = Ramp {
            since: if idle { now } else { old.since },
            lost: 0,
            cold,
            over,
            generation,
        };
        // The clock continues from its current time.
        ramp.lost = old.lost(now).wrapping_sub(ramp.lost(now));
        self.ramp
            .set([ramp.since, ramp.lost, cold, over, generation]);
        ramp
    }

    pub(crate) fn set(&self, warm_up: WarmUp) -> Result<(), InvalidWarmUp> {
        self.settings.set(warm_up.words()?);
        Ok(())
    }
}

/// Whether a bucket has been full for longer than `idle`.
fn is_idle(ramp: Ramp, full_at: u64, now: u64, idle: u64) -> bool {
    now.checked_sub(idle)
        .is_some_and(|then| then > ramp.since && ramp.time(then) > full_at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_idle_when_it_has_been_full_for_longer_than_the_idle_time() {
        // A ramp without a slow start: its clock shows the time.
        let ramp = |since| Ramp {
            since,
            lost: 0,
            cold: 1,
            over: 1,
            generation: 0,
        };
        assert_eq!(
            [30, 31].map(|now| is_idle(ramp(0), 10, now, 20)),
            [false, true]
        );
        assert_eq!(
            [30, 31].map(|now| is_idle(ramp(10), 0, now, 20)),
            [false, true]
        );
        assert!(!is_idle(ramp(0), 0, 19, 20), "the clock has just started");
    }
}
