//! A cold service is given less: the rate rises after a pause.

use std::{
    sync::atomic::Ordering::{Acquire, Release},
    time::Duration,
};

use plimsoll_core::Live;

use crate::{InvalidWarmUp, Quota, pace::Pace, sync::AtomicU64};

/// After a pause, the rate begins at a part of the quota's and rises in a straight line to all of it.
///
/// A service that has had nothing to do for a while has cold caches, few connections and a small pool: it breaks
/// under a load that it takes with ease a minute later. A fresh limit is cold, too. While it warms up, the burst shrinks in
/// proportion, but not below one request, whatever it weighs.
///
/// (Guava and Sentinel warm up by tokens spent rather than by time; to the same end, but the time it takes is then the
/// traffic's.)
///
/// ```
/// use std::time::Duration;
/// use plimsoll_rate_limit::{Quota, RateLimit, WarmUp};
///
/// // From a third of it to all 900 a second within 30 seconds, after a minute without a request.
/// let warm_up = WarmUp::new(3, Duration::from_secs(30)).after_idle(Duration::from_secs(60));
/// let limit = RateLimit::new(Quota::per_second(900).burst(90))?.warm_up(warm_up)?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct WarmUp {
    cold: u32,
    over: Duration,
    idle: Duration,
}

impl WarmUp {
    /// From the `cold`-th part of the rate to all of it, in the time `over`, after a pause just as long.
    pub const fn new(cold: u32, over: Duration) -> Self {
        Self {
            cold,
            over,
            idle: over,
        }
    }

    /// After a pause of this length: the time from the moment at which the bucket was full.
    pub const fn after_idle(mut self, idle: Duration) -> Self {
        self.idle = idle;
        self
    }

    fn words(self) -> Result<[u64; 3], InvalidWarmUp> {
        let Self { cold, over, idle } = self;
        if cold == 0 || cold > Self::MAX_COLD {
            return Err(InvalidWarmUp::Cold(cold));
        }
        for (field, duration) in [("over", over), ("idle", idle)] {
            if duration.is_zero() || duration > Quota::MAX_PERIOD {
                return Err(InvalidWarmUp::Duration { field, duration });
            }
        }
        Ok([cold.into(), over.as_nanos() as u64, idle.as_nanos() as u64])
    }

    /// The coldest start: a thousandth of the rate.
    pub const MAX_COLD: u32 = 1000;
}

/// A warm-up in use.
#[derive(Debug)]
pub(crate) struct Warming {
    settings: Live<3, 4>,
    /// When it last began.
    since: AtomicU64,
}

impl Warming {
    pub(crate) fn new(warm_up: WarmUp) -> Result<Self, InvalidWarmUp> {
        Ok(Self {
            settings: Live::new(warm_up.words()?),
            since: AtomicU64::new(0),
        })
    }

    /// The pace now, for a bucket that will be full at `full_at`. A pause has just ended if that was long ago.
    pub(crate) fn pace(&self, full_at: u64, now: u64) -> Pace {
        let (_, [cold, over, idle]) = self.settings.read();
        let mut since = self.since.load(Acquire);
        if full_at.max(since).saturating_add(idle) < now {
            // Threads that see it at the same time write the same, but for nanoseconds.
            self.since.store(now, Release);
            since = now;
        }
        Pace::warming(cold as u32, now.saturating_sub(since), over)
    }

    /// The pace at a moment of this warm-up, without beginning another. Of earlier ones nothing is known: the whole rate, at
    /// which the least was taken.
    pub(crate) fn pace_at(&self, then: u64) -> Pace {
        let (_, [cold, over]) = self.settings.read();
        match then.checked_sub(self.since.load(Acquire)) {
            Some(gone) => Pace::warming(cold as u32, gone, over),
            None => Pace::FULL,
        }
    }

    pub(crate) fn set(&self, warm_up: WarmUp) -> Result<(), InvalidWarmUp> {
        self.settings.set(warm_up.words()?);
        Ok(())
    }
}
