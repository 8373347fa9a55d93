//! What became of an item that was sent, and of the items that made room for it.

use std::{fmt, iter::Chain, option, time::Duration, vec};

use super::reason::DropReason;

/// What became of an item that the queue took charge of.
///
/// It hands back each item that left the queue because of the send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent<T> {
    /// The sequence number of the new item.
    ///
    /// Dropped items have one too, so that the consumer sees the gap. An item that replaced another
    /// has the number of the replaced one.
    pub seq: u64,
    /// What became of the new item.
    pub fate: Fate<T>,
    /// The queued items that were evicted.
    pub evicted: Evicted<T>,
}

/// What became of a new item.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fate<T> {
    /// It is queued.
    Queued,
    /// It is queued in the place of this item of the same key.
    Replaced(T),
    /// The queue was full and the policy dropped it. Contains the new item.
    Dropped(T, DropReason),
}

impl<T> Sent<T> {
    pub(crate) const fn queued(seq: u64) -> Self {
        Self {
            seq,
            fate: Fate::Queued,
            evicted: Evicted(Few::None),
        }
    }

    /// Returns whether the new item is in the queue.
    pub const fn is_queued(&self) -> bool {
        !matches!(self.fate, Fate::Dropped(..))
    }

    /// Returns all items that the send lost, with reasons: evicted, replaced, or the new one.
    pub fn into_lost(self) -> impl Iterator<Item = (T, DropReason)> {
        let own = match self.fate {
            Fate::Queued => None,
            Fate::Replaced(item) => Some((item, DropReason::Replaced)),
            Fate::Dropped(item, reason) => Some((item, reason)),
        };
        self.evicted.into_iter().chain(own)
    }

    /// Calls `f` with each lost item.
    pub(crate) fn for_each_lost(&self, mut f: impl FnMut(&T, DropReason)) {
        self.evicted.for_each(&mut f);
        match &self.fate {
            Fate::Queued => {}
            Fate::Replaced(item) => f(item, DropReason::Replaced),
            Fate::Dropped(item, reason) => f(item, *reason),
        }
    }
}

/// Items that were evicted from a queue, oldest eviction first. Most often none or one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evicted<T>(Few<T>);

/// Performance: one evicted item needs no allocation (`streams`, `queue/drop_oldest/full`).
#[derive(Debug, Clone, PartialEq, Eq)]
enum Few<T> {
    None,
    One(T, DropReason),
    Many(Vec<(T, DropReason)>),
}

impl<T> Evicted<T> {
    pub(crate) const fn new() -> Self {
        Self(Few::None)
    }

    #[inline]
    pub(crate) const fn one(item: T, reason: DropReason) -> Self {
        Self(Few::One(item, reason))
    }

    pub(crate) fn push(&mut self, item: T, reason: DropReason) {
        self.0 = match std::mem::replace(&mut self.0, Few::None) {
            Few::None => Few::One(item, reason),
            Few::One(first, why) => Few::Many(vec![(first, why), (item, reason)]),
            Few::Many(mut all) => {
                all.push((item, reason));
                Few::Many(all)
            }
        };
    }

    /// Returns how many items were evicted.
    pub const fn len(&self) -> usize {
        match &self.0 {
            Few::None => 0,
            Few::One(..) => 1,
            Few::Many(all) => all.len(),
        }
    }

    /// Returns whether no item was evicted.
    pub const fn is_empty(&self) -> bool {
        matches!(self.0, Few::None)
    }

    pub(crate) fn for_each(&self, mut f: impl FnMut(&T, DropReason)) {
        match &self.0 {
            Few::None => {}
            Few::One(item, reason) => f(item, *reason),
            Few::Many(all) => all.iter().for_each(|(item, reason)| f(item, *reason)),
        }
    }
}

impl<T> Default for Evicted<T> {
    /// No items.
    fn default() -> Self {
        Self::new()
    }
}

impl<T> IntoIterator for Evicted<T> {
    type Item = (T, DropReason);
    type IntoIter = Chain<option::IntoIter<Self::Item>, vec::IntoIter<Self::Item>>;

    fn into_iter(self) -> Self::IntoIter {
        let (one, many) = match self.0 {
            Few::None => (None, Vec::new()),
            Few::One(item, reason) => (Some((item, reason)), Vec::new()),
            Few::Many(all) => (None, all),
        };
        one.into_iter().chain(many)
    }
}

/// The queue did not take charge of an item. Each variant hands the item back.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError<T> {
    /// The queue is closed.
    #[error("the queue is closed")]
    Closed(T),
    /// The queue is full and blocks, and the call does not wait.
    #[error("the queue is full")]
    Full(T),
    /// The queue stayed full for the timeout of [`QueuePolicy::Block`](crate::QueuePolicy::Block).
    #[error("the queue was full for {after:?}")]
    Timeout {
        /// The item.
        item: T,
        /// The timeout.
        after: Duration,
    },
    /// The item alone is heavier than the bound in bytes, or than its permit.
    #[error("the item weighs {weight} bytes, at most {max} are allowed")]
    TooLarge {
        /// The item.
        item: T,
        /// Its weight in bytes.
        weight: usize,
        /// The most that it may weigh, in bytes.
        max: usize,
    },
}

impl<T> SendError<T> {
    /// Returns the item.
    pub fn into_inner(self) -> T {
        match self {
            Self::Closed(item)
            | Self::Full(item)
            | Self::Timeout { item, .. }
            | Self::TooLarge { item, .. } => item,
        }
    }
}

/// Does not need `T: Debug`, and does not print the item.
impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed(_) => "Closed(..)",
            Self::Full(_) => "Full(..)",
            Self::Timeout { .. } => "Timeout { .. }",
            Self::TooLarge { .. } => "TooLarge { .. }",
        })
    }
}

/// No room was reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReserveError {
    /// The queue is closed.
    #[error("the queue is closed")]
    Closed,
    /// The queue is full, and the call does not wait.
    #[error("the queue is full")]
    Full,
    /// The queue could never hold so many bytes.
    #[error("{bytes} bytes were asked for, at most {max} are allowed")]
    TooLarge {
        /// The bytes that were asked for.
        bytes: usize,
        /// The bound in bytes.
        max: usize,
    },
}
