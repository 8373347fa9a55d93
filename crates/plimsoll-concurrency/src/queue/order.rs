//! Whose turn it is among equals.

/// Who of those that wait, and are of the same priority, gets the next slot.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Order {
    /// Whoever has waited longest: fair, and under a lasting overload everybody is served late.
    #[default]
    Fifo,
    /// The newcomer, whose caller is most likely still there. Under a lasting overload some are served at once, and the
    /// others not at all.
    Lifo,
    /// Whoever has waited longest, and the newcomer while the queue is congested: it has not been empty for as long as
    /// the interval of the [controlled delay](crate::ConcurrencyLimit::controlled_delay), or 100 ms without one. (Maurer:
    /// "Fail at Scale", ACM Queue 2015.)
    ///
    /// Emptiness decides and not the delay of those who are served, because under the newcomer's order that is always
    /// short: the order would switch itself off while the overload lasts.
    AdaptiveLifo,
}

impl Order {
    pub(crate) const ALL: [Self; 3] = [Self::Fifo, Self::Lifo, Self::AdaptiveLifo];

    /// Whether the newest is served, in a queue that is congested or not.
    pub(crate) fn newest_first(self, congested: bool) -> bool {
        match self {
            Self::Fifo => false,
            Self::Lifo => true,
            Self::AdaptiveLifo => congested,
        }
    }
}
