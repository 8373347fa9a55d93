//! A guard that closes a queue.

use std::ops::Deref;

use super::bounded::BoundedQueue;

/// A queue that is closed when this guard is dropped.
///
/// Held by the only producer, it ends the consumer's stream; held by the only consumer, it makes
/// the sends of producers fail.
///
/// ```
/// use plimsoll_stream::{BoundedQueue, CloseOnDrop, QueuePolicy};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let queue = BoundedQueue::new(50, QueuePolicy::BLOCK)?;
/// let producer = CloseOnDrop::new(queue.clone());
/// producer.send("last").await?;
/// drop(producer);
/// assert_eq!(queue.recv().await, Some("last"));
/// assert_eq!(queue.recv().await, None);
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "dropping the guard closes the queue"]
pub struct CloseOnDrop<T>(BoundedQueue<T>);

impl<T> CloseOnDrop<T> {
    /// A guard that closes `queue`.
    pub const fn new(queue: BoundedQueue<T>) -> Self {
        Self(queue)
    }
}

impl<T> Deref for CloseOnDrop<T> {
    type Target = BoundedQueue<T>;

    fn deref(&self) -> &BoundedQueue<T> {
        &self.0
    }
}

impl<T> Drop for CloseOnDrop<T> {
    fn drop(&mut self) {
        self.0.close();
    }
}
