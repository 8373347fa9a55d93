//! Choices, and what is checked about them.

use std::time::Duration;

use crate::InvalidRedisRateLimit;

/// What becomes of requests when Redis is slow, down, or answers nonsense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum OnFailure {
    /// Each replica limits by itself, to its share of the quota.
    #[default]
    Local,
    /// All are let in, uncounted.
    Open,
    /// All are refused, as [`Kind::Full`](plimsoll_core::Kind::Full).
    Closed,
}

/// How tokens are taken in advance; see [`LeasedRateLimit`](crate::LeasedRateLimit).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct LeaseSettings {
    pub(crate) batch: u32,
    pub(crate) low_water: u32,
    pub(crate) lifetime: Duration,
}

impl LeaseSettings {
    /// `batch` tokens at a time. The next batch is fetched when half of one is left, and tokens that were not spent are void a
    /// second after the last batch came.
    pub const fn new(batch: u32) -> Self {
        Self {
            batch,
            low_water: batch / 2,
            lifetime: Duration::from_secs(1),
        }
    }

    /// Fetches the next batch when so many tokens are left: 0 to the batch. With 0, the request that finds none waits for it.
    pub const fn low_water(mut self, tokens: u32) -> Self {
        self.low_water = tokens;
        self
    }

    /// How long tokens may be kept.
    pub const fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// How many tokens a replica may hold for a key, at most: the batch and the low-water mark.
    pub const fn most(&self) -> u64 {
        self.batch as u64 + self.low_water as u64
    }

    pub(crate) fn check(self, largest: u32) -> Result<Self, InvalidRedisRateLimit> {
        let Self {
            batch,
            low_water,
            lifetime,
        } = self;
        if batch == 0 || batch > largest {
            return Err(InvalidRedisRateLimit::Batch {
                batch,
                max: largest,
            });
        }
        if low_water > batch {
            return Err(InvalidRedisRateLimit::LowWater { low_water, batch });
        }
        if lifetime < Duration::from_millis(1) || lifetime > Duration::from_secs(3600) {
            return Err(InvalidRedisRateLimit::Lifetime(lifetime));
        }
        Ok(self)
    }
}
