//! Taking items out of the queue.

use std::iter;

use super::{outcome::Lost, policy::QueuePolicy, reason::Delivery, state::State};

impl<T> State<T> {
    /// Whether items expire: [`expired`](Self::expired) comes before a take.
    #[inline]
    pub(crate) fn expires(&self) -> bool {
        matches!(self.policy, QueuePolicy::DropExpired { .. })
    }

    /// Evicts the expired items, if items expire.
    #[inline(never)]
    pub(crate) fn expired(&mut self) -> Lost<T> {
        let mut lost = Lost::new();
        if let QueuePolicy::DropExpired { ttl } = self.policy {
            self.expire(ttl, &mut lost);
        }
        lost
    }

    /// Takes the oldest item, with its number.
    #[inline(always)]
    #[allow(clippy::inline_always)]
    fn take(&mut self) -> Option<(u64, T)> {
        let (seq, at, item) = self.ring.pop()?;
        if at != 0 {
            self.measure(at);
        }
        Some((seq, item))
    }

    /// Takes the oldest item.
    #[inline(always)]
    #[allow(clippy::inline_always)]
    pub(crate) fn take_item(&mut self) -> Option<T> {
        if self.ring.is_bare() {
            self.ring.pop().map(|(.., item)| item)
        } else {
            self.take_measured()
        }
    }

    #[inline(never)]
    fn take_measured(&mut self) -> Option<T> {
        self.take().map(|(_, item)| item)
    }

    /// Takes up to `limit` of the oldest items, and returns how many.
    pub(crate) fn take_many(&mut self, into: &mut Vec<T>, limit: usize) -> usize {
        let before = into.len();
        if self.ring.is_bare() {
            self.ring.pop_many(into, limit);
        } else {
            into.extend(iter::from_fn(|| self.take_measured()).take(limit));
        }
        into.len() - before
    }

    /// Takes the next gap, or the oldest item.
    pub(crate) fn take_delivery(&mut self) -> Option<Delivery<T>> {
        if let Some(gap) = self.ring.pop_gap() {
            return Some(Delivery::Gap(gap));
        }
        let (seq, item) = self.take()?;
        Some(Delivery::Item { seq, item })
    }

    #[cold]
    fn measure(&mut self, at: u64) {
        if let Some(waits) = &mut self.waits {
            waits.record(self.clock.now().saturating_sub(at));
        }
    }
}
