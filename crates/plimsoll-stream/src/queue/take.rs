//! Taking items out of the queue.

use super::{outcome::Lost, policy::QueuePolicy, reason::Delivery, state::State};
use crate::clock::nanos;

impl<T> State<T> {
    /// Takes the oldest item that is not expired, with its number.
    #[inline(always)]
    #[allow(clippy::inline_always)]
    pub(crate) fn take(&mut self, expired: &mut Lost<T>) -> Option<(u64, T)> {
        if let QueuePolicy::DropExpired { ttl } = self.policy {
            self.expire(self.clock.now(), nanos(ttl), expired);
        }
        let (seq, at, item) = self.ring.pop()?;
        if at != 0 {
            self.measure(at);
        }
        Some((seq, item))
    }

    /// Takes the oldest item that is not expired.
    #[inline(always)]
    #[allow(clippy::inline_always)]
    pub(crate) fn take_item(&mut self, expired: &mut Lost<T>) -> Option<T> {
        self.take(expired).map(|(_, item)| item)
    }

    /// Takes up to `limit` of the oldest items, and returns how many.
    pub(crate) fn take_many(
        &mut self,
        into: &mut Vec<T>,
        limit: usize,
        expired: &mut Lost<T>,
    ) -> usize {
        let before = into.len();
        while into.len() - before < limit {
            let Some((_, item)) = self.take(expired) else {
                break;
            };
            into.push(item);
        }
        into.len() - before
    }

    /// Takes the next gap, or the oldest item that is not expired.
    pub(crate) fn take_delivery(&mut self, expired: &mut Lost<T>) -> Option<Delivery<T>> {
        if let QueuePolicy::DropExpired { ttl } = self.policy {
            self.expire(self.clock.now(), nanos(ttl), expired);
        }
        if let Some(gap) = self.ring.pop_gap() {
            return Some(Delivery::Gap(gap));
        }
        let (seq, item) = self.take(expired)?;
        Some(Delivery::Item { seq, item })
    }

    #[cold]
    fn measure(&mut self, at: u64) {
        if let Some(waits) = &mut self.waits {
            waits.record(self.clock.now().saturating_sub(at));
        }
    }
}
