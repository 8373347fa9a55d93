//! Settings of failures and leases.

use std::time::Duration;

use crate::InvalidRedisRateLimit;

/// What happens to requests when Redis is slow, down, or answers nonsense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum OnFailure {
    /// Each replica decides on its own, with its share of the quota.
    #[default]
    Local,
    /// All requests are admitted, uncounted.
    Open,
    /// All requests are rejected, as [`Kind::Full`](plimsoll_core::Kind::Full).
    Closed,
}

/// Settings of the tokens that are taken in advance; see
/// [`LeasedRateLimit`](crate::LeasedRateLimit).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct LeaseSettings {
    pub(crate) batch: u32,
    pub(crate) low_water: u32,
    pub(crate) lifetime: Duration,
}

impl LeaseSettings {
    /// Takes `batch` tokens at a time.
    ///
    /// By default the next batch is fetched when half of one is left, and unspent tokens expire one
    /// second after the last batch was granted.
    pub const fn new(batch: u32) -> Self {
        Self {
            batch,
            low_water: batch / 2,
            lifetime: Duration::from_secs(1),
        }
    }

    /// Sets the number of tokens at which the next batch is fetched: 0 to the batch.
    ///
    /// With 0, the request that finds no tokens waits for the batch.
    pub const fn low_water(mut self, tokens: u32) -> Self {
        self.low_water = tokens;
        self
    }

    /// Sets how long tokens may be kept: 1 ms to 1 hour.
    pub const fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// The most tokens that a replica may hold for a key: the batch and the low-water mark.
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
