//! The hub as publishers see it.

use std::{fmt, sync::Arc};

use super::{
    counters::HubCounters,
    cursor::Cursor,
    error::{PublishError, SubscribeError},
    shared::Shared,
    subscribe::Subscriber,
    subscription::Subscription,
};

/// One publisher, many subscribers: each item goes to each of them.
///
/// The last items are kept once, for all subscribers. A subscriber has a place among them and
/// bounds of its own: one that is too far behind skips, coalesces or is disconnected, by its
/// [`LagPolicy`](crate::LagPolicy), and never slows the publisher or the others. One that comes
/// back continues from its [`Cursor`], without a gap or a duplicate.
///
/// Clones share the hub. It closes when the last clone is dropped.
///
/// ```
/// use plimsoll_stream::{Delivery, Hub};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let prices = Hub::new(1_000)?;
/// let mut subscription = prices.subscribe()?;
/// prices.publish(17)?;
/// assert_eq!(subscription.recv().await?, Delivery::Item { seq: 1, item: 17 });
///
/// // The client goes, and comes back with its cursor.
/// let cursor = subscription.cursor();
/// drop(subscription);
/// prices.publish(18)?;
/// let mut subscription = prices.subscriber().after(cursor).subscribe()?;
/// assert_eq!(subscription.recv().await?, Delivery::Item { seq: 2, item: 18 });
/// # Ok(()) }
/// ```
///
/// # Memory
///
/// At most the capacity and the bound in bytes, and one segment more: up to 32 items, and a
/// sixteenth of the bytes. Items older than the time to live are freed by the next publication or
/// by [`prune`](Self::prune). A subscriber that is not polled keeps one segment for itself; an idle
/// one uses about 180 bytes.
pub struct Hub<T> {
    pub(crate) shared: Arc<Shared<T>>,
    alive: Arc<CloseOnDrop<T>>,
}

/// Closes the hub with its last clone: subscriptions also hold what is shared.
struct CloseOnDrop<T>(Arc<Shared<T>>);

impl<T> Drop for CloseOnDrop<T> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// What became of an item that was published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Published {
    /// The number of the item: the first has number 1.
    pub seq: u64,
    /// How many subscribers were waiting and have been woken. The others are still busy with
    /// earlier items.
    pub woken: usize,
}

impl<T> Hub<T> {
    pub(crate) fn with(shared: Shared<T>) -> Self {
        let shared = Arc::new(shared);
        Self {
            alive: Arc::new(CloseOnDrop(Arc::clone(&shared))),
            shared,
        }
    }

    /// Publishes an item to all subscribers. Never waits.
    ///
    /// It takes one short lock, and wakes the subscribers that wait, outside of the lock.
    ///
    /// # Errors
    ///
    /// [`PublishError`], with the item, when the hub is closed or the item alone exceeds the bound
    /// in bytes.
    pub fn publish(&self, item: T) -> Result<Published, PublishError<T>> {
        let (seq, woken) = self.shared.publish(item)?;
        Ok(Published { seq, woken })
    }

    /// Subscribes to what is published from now on, with a lag of up to the hub's capacity.
    ///
    /// # Errors
    ///
    /// [`SubscribeError`] when the hub is closed or has too many subscribers.
    pub fn subscribe(&self) -> Result<Subscription<T>, SubscribeError> {
        self.subscriber().subscribe()
    }

    /// Returns a builder for a subscription with a policy, bounds and a place to begin.
    pub fn subscriber(&self) -> Subscriber<'_, T> {
        Subscriber::new(&self.shared)
    }

    /// Closes the hub. Returns whether it was open.
    ///
    /// Subscribers receive what was published before, and then
    /// [`Ended::Closed`](crate::Ended::Closed).
    pub fn close(&self) -> bool {
        self.shared.close()
    }

    /// Frees the items that are older than the time to live, without publishing one.
    ///
    /// For a hub that may be idle for long and keeps large items.
    pub fn prune(&self) {
        let now = self.shared.now();
        let mut evicted = Vec::new();
        self.shared.lock().log.evict(now, &mut evicted);
    }

    /// Returns the cursor of the last item that was published.
    pub fn cursor(&self) -> Cursor {
        self.shared.cursor(self.shared.last())
    }

    /// Returns the cursor in front of the oldest item from which a subscriber can continue.
    pub fn oldest(&self) -> Cursor {
        let now = self.shared.now();
        let oldest = self.shared.lock().log.oldest(now);
        self.shared.cursor(oldest - 1)
    }

    /// Returns how many items are in memory.
    pub fn len(&self) -> usize {
        self.shared.lock().log.len() as usize
    }

    /// Returns whether no item is in memory.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the number of items that are kept at most.
    pub fn capacity(&self) -> usize {
        self.shared.capacity as usize
    }

    /// Returns the number of subscribers.
    pub fn subscribers(&self) -> usize {
        self.shared.subscribers()
    }

    /// Returns the counters. They are read one after the other.
    pub fn counters(&self) -> HubCounters {
        self.shared.counters()
    }
}

impl<T> Clone for Hub<T> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            alive: Arc::clone(&self.alive),
        }
    }
}

impl<T> fmt::Debug for Hub<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("published", &self.shared.last())
            .field("subscribers", &self.subscribers())
            .finish_non_exhaustive()
    }
}
