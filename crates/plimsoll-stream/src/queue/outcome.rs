//! What became of an item that was sent, and of the items that were evicted for it.

use std::{iter::Chain, option, vec};

use super::reason::DropReason;

/// What became of an item that the queue took charge of.
///
/// It hands back each item that the send lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent<T> {
    /// The sequence number of the new item.
    ///
    /// Dropped items have one too, so that the consumer sees the gap. An item that replaced another
    /// has the number of the replaced one.
    pub seq: u64,
    /// What became of the new item.
    pub fate: Fate,
    /// The items that the send lost, with reasons: those that were evicted, the one that was
    /// replaced, or the new one, which is then the last.
    pub lost: Lost<T>,
}

/// What became of a new item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fate {
    /// It is queued.
    Queued,
    /// It replaced a queued item of the same key, the last of [`Sent::lost`].
    Replaced,
    /// The queue was full and the policy dropped it. It is the last of [`Sent::lost`].
    Dropped,
}

impl<T> Sent<T> {
    #[inline]
    pub(crate) const fn queued(seq: u64, lost: Lost<T>) -> Self {
        Self {
            seq,
            fate: Fate::Queued,
            lost,
        }
    }

    /// Returns whether the new item is in the queue.
    pub const fn is_queued(&self) -> bool {
        !matches!(self.fate, Fate::Dropped)
    }
}

/// Items that left a queue without being received, oldest loss first. Most often none or one.
///
/// Performance: one item needs no allocation (`streams`, `queue/drop_oldest/full`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost<T> {
    first: Option<(T, DropReason)>,
    rest: Option<Box<Rest<T>>>,
}

/// Performance: behind one word, because each send returns a `Lost` (`streams`, `queue/push+pop`).
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rest<T>(Vec<(T, DropReason)>);

impl<T> Lost<T> {
    #[inline]
    pub(crate) const fn new() -> Self {
        Self {
            first: None,
            rest: None,
        }
    }

    #[inline]
    pub(crate) const fn one(item: T, reason: DropReason) -> Self {
        Self {
            first: Some((item, reason)),
            rest: None,
        }
    }

    pub(crate) fn push(&mut self, item: T, reason: DropReason) {
        if self.first.is_none() {
            self.first = Some((item, reason));
        } else {
            let rest = self.rest.get_or_insert_with(|| Box::new(Rest(Vec::new())));
            rest.0.push((item, reason));
        }
    }

    /// Returns how many items were lost.
    pub fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.rest().len()
    }

    /// Returns whether no item was lost.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(crate) fn for_each(&self, mut f: impl FnMut(&T, DropReason)) {
        let all = self.first.iter().chain(self.rest());
        all.for_each(|(item, reason)| f(item, *reason));
    }

    fn rest(&self) -> &[(T, DropReason)] {
        self.rest.as_ref().map_or(&[], |rest| &rest.0)
    }
}

impl<T> Default for Lost<T> {
    /// No items.
    fn default() -> Self {
        Self::new()
    }
}

impl<T> IntoIterator for Lost<T> {
    type Item = (T, DropReason);
    type IntoIter = Chain<option::IntoIter<Self::Item>, vec::IntoIter<Self::Item>>;

    fn into_iter(self) -> Self::IntoIter {
        let rest = self.rest.map_or_else(Vec::new, |rest| rest.0);
        self.first.into_iter().chain(rest)
    }
}
