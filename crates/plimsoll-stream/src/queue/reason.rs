//! Why an item was lost, and the numbers that are missing.

/// Why an item was not received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DropReason {
    /// It was the oldest item of a full queue.
    Oldest,
    /// It was the new item, and the queue was full.
    Newest,
    /// It was drawn at random from a full queue.
    Random,
    /// It had the lowest priority in a full queue.
    LowestPriority,
    /// It was older than the TTL.
    Expired,
    /// A newer item of the same key replaced it. Its sequence number is not missing.
    Replaced,
    /// In a [`Gap`] only: items in a row were lost for different reasons.
    Several,
}

impl DropReason {
    /// Number of reasons that a single item can have.
    pub(crate) const COUNT: usize = 6;

    /// All reasons that a single item can have, in the order of the counters.
    pub(crate) const ALL: [Self; Self::COUNT] = [
        Self::Oldest,
        Self::Newest,
        Self::Random,
        Self::LowestPriority,
        Self::Expired,
        Self::Replaced,
    ];

    /// The column of the reason in a table of counters.
    pub(crate) const fn index(self) -> usize {
        self as usize
    }

    /// Returns the name for labels of metrics, such as `lowest_priority`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Oldest => "oldest",
            Self::Newest => "newest",
            Self::Random => "random",
            Self::LowestPriority => "lowest_priority",
            Self::Expired => "expired",
            Self::Replaced => "replaced",
            Self::Several => "several",
        }
    }
}

/// Consecutive sequence numbers whose items were lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Gap {
    /// The first missing number.
    pub from: u64,
    /// The last missing number.
    pub to: u64,
    /// Why the items were lost.
    ///
    /// [`DropReason::Several`] when the reasons differ and were joined to save memory.
    pub reason: DropReason,
}

impl Gap {
    /// Returns how many items are missing, at least 1.
    pub const fn count(&self) -> u64 {
        self.to - self.from + 1
    }
}

/// What a consumer that follows the sequence numbers receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Delivery<T> {
    /// An item.
    Item {
        /// Its sequence number: the first item offered to the queue has number 0.
        seq: u64,
        /// The item.
        item: T,
    },
    /// The items of these numbers were lost. It comes before the first item after the gap.
    Gap(Gap),
}
