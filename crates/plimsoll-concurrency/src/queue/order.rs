//! Which of several equal waiters is next.

/// Which of several waiters of the same priority gets the next slot.
///
/// ```
/// use std::time::Duration;
/// use plimsoll_concurrency::{ConcurrencyLimit, Order};
///
/// # fn main() -> Result<(), plimsoll_concurrency::InvalidConcurrencyLimit> {
/// let limit = ConcurrencyLimit::new(64)?
///     .queue(128, Duration::from_millis(200))?
///     .order(Order::AdaptiveLifo);
/// # _ = limit;
/// # Ok(())
/// # }
/// ```
#[doc(alias("FIFO", "LIFO", "adaptive LIFO"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "kebab-case")
)]
#[non_exhaustive]
pub enum Order {
    /// The waiter that has waited longest: fair, but under a lasting overload all are served late.
    #[default]
    Fifo,
    /// The newest waiter, whose caller is most likely still there. Under a lasting overload some
    /// are served at once, and the others never.
    Lifo,
    /// The oldest waiter, or the newest while the queue is congested.
    ///
    /// The queue is congested when it has not been empty for as long as the interval of the
    /// [controlled delay](crate::ConcurrencyLimit::controlled_delay), or for 100 ms without one.
    /// (Maurer, "Fail at Scale", ACM Queue 2015.)
    ///
    /// Congestion is not decided by the delay of the requests that are served: with the newest
    /// first that delay is always short, so the order would switch back while the overload lasts.
    AdaptiveLifo,
}

impl Order {
    pub(crate) const ALL: [Self; 3] = [Self::Fifo, Self::Lifo, Self::AdaptiveLifo];

    /// Whether the newest waiter is next, in a queue that is `congested` or not.
    pub(crate) fn newest_first(self, congested: bool) -> bool {
        match self {
            Self::Fifo => false,
            Self::Lifo => true,
            Self::AdaptiveLifo => congested,
        }
    }
}
