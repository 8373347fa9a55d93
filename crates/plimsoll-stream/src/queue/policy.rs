//! What happens to an item when a queue is full.

use std::time::Duration;

use fastrand::Rng;

/// What a [`BoundedQueue`](crate::BoundedQueue) does with a new item when it is full.
///
/// It is chosen at construction and can be changed while the queue is in use, by
/// [`BoundedQueue::set_policy`](crate::BoundedQueue::set_policy).
///
/// | policy | full queue | loses | typical use |
/// |---|---|---|---|
/// | [`Block`](Self::Block) | the sender waits for room | nothing | work that must be done |
/// | [`DropOldest`](Self::DropOldest) | evicts the oldest item | old items | live data |
/// | [`DropNewest`](Self::DropNewest) | drops the new item | new items | ordered messages |
/// | [`DropRandom`](Self::DropRandom) | evicts a random item | a uniform sample | telemetry |
/// | [`DropLowestPriority`](Self::DropLowestPriority) | evicts the least important item | by importance | mixed traffic |
/// | [`DropExpired`](Self::DropExpired) | evicts items older than the TTL | late items | answers with a deadline |
/// | [`Coalesce`](Self::Coalesce) | evicts the oldest item | earlier values of a key | state updates |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum QueuePolicy {
    /// The sender waits until the item fits, first come, first served.
    Block {
        /// How long a send waits at most; it then fails and hands the item back. `None` waits as
        /// long as it takes.
        timeout: Option<Duration>,
    },
    /// Evicts the oldest items until the new one fits.
    DropOldest,
    /// Drops the new item.
    DropNewest,
    /// Evicts random items until the new one fits. Each queued item is equally likely.
    DropRandom {
        /// The seed of the random generator: the same seed and operations evict the same items.
        seed: u64,
    },
    /// Evicts the items of the lowest priority until the new one fits, the newest of a level first.
    ///
    /// The new item is dropped, and nothing is evicted, when it would not fit even without all
    /// items of lower priority. Needs [`priority`](crate::BoundedQueueBuilder::priority).
    DropLowestPriority,
    /// Evicts items older than `ttl`, the oldest first. Such items are not received either.
    ///
    /// That includes an older item behind a younger one, which there can be after a live change from
    /// another policy. The new item is dropped when no queued item is old enough. Reads the clock at
    /// each send and receive.
    DropExpired {
        /// The age from which an item counts as expired: longer than 0.
        ttl: Duration,
    },
    /// Replaces the queued item of the same key, also in a queue that is not full.
    ///
    /// The new item takes the place and the sequence number of the one it replaces, so that a key
    /// that changes often is not moved back forever. It replaces the item that was sent last with
    /// its key, if that is still queued: items of one key that were sent under another policy stay
    /// apart. When the queue is full of other keys, the oldest items are evicted. Needs [`key`](crate::BoundedQueueBuilder::key).
    Coalesce,
}

impl QueuePolicy {
    /// [`Block`](Self::Block) without a timeout.
    pub const BLOCK: Self = Self::Block { timeout: None };

    /// Number of policies, for tables of counters.
    pub(crate) const COUNT: usize = 7;

    /// Returns the name for labels of metrics, such as `drop_oldest`.
    pub const fn name(self) -> &'static str {
        Self::NAMES[self.index()]
    }

    /// The generator of the policy. Policies that draw nothing have one that is not used.
    pub(crate) fn rng(self) -> Rng {
        Rng::with_seed(match self {
            Self::DropRandom { seed } => seed,
            _ => 0,
        })
    }

    /// The row of the policy in a table of counters.
    pub(crate) const fn index(self) -> usize {
        match self {
            Self::Block { .. } => 0,
            Self::DropOldest => 1,
            Self::DropNewest => 2,
            Self::DropRandom { .. } => 3,
            Self::DropLowestPriority => 4,
            Self::DropExpired { .. } => 5,
            Self::Coalesce => 6,
        }
    }

    /// The names in the order of [`index`](Self::index).
    pub(crate) const NAMES: [&'static str; Self::COUNT] = [
        "block",
        "drop_oldest",
        "drop_newest",
        "drop_random",
        "drop_lowest_priority",
        "drop_expired",
        "coalesce",
    ];
}

impl Default for QueuePolicy {
    /// [`BLOCK`](Self::BLOCK): nothing is lost.
    fn default() -> Self {
        Self::BLOCK
    }
}
