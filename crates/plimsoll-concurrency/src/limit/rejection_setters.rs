//! The settings of rejections: their kind and their hint.

use std::time::Duration;

use plimsoll_core::Kind;

use super::{concurrency::ConcurrencyLimit, error::InvalidConcurrencyLimit};

impl<D, R> ConcurrencyLimit<D, R> {
    /// Rejects with [`Kind::OverQuota`] instead of [`Kind::Full`], for limits per key.
    ///
    /// There the caller is over its own limit; the server is not full.
    ///
    /// The [hint](Self::retry_after) is an estimate here, too: unlike the next token of a rate
    /// limit, the end of a caller's running calls cannot be computed. [`Http`](plimsoll_core::Http)
    /// spreads it like the hint of a full server.
    pub fn reject_as_over_quota(self) -> Self {
        Self {
            kind: Kind::OverQuota,
            ..self
        }
    }

    /// Sets the retry hint of rejections, in place of an estimate.
    ///
    /// # The estimate
    ///
    /// It is the time until all requests in flight and in the queue will have been served: the time
    /// a slot is held, times the number of those requests, divided by the limit.
    ///
    /// - The time a slot is held, to the end of the body, is a moving average over the requests
    ///   that end while all slots are taken, except those that an inner gate rejected. Each counts
    ///   for at most [`max_retry_after`](Self::max_retry_after), and the latest has a weight of
    ///   1/16.
    /// - The estimate is 1 second before the first such request, and never more than
    ///   `max_retry_after`.
    /// - It decays with time. When no such request has ended for as long as one takes by the
    ///   average, the part above 1 second halves every 10 seconds, and the next request to end gets
    ///   the weight that was lost.
    ///
    /// [`FairShare`](crate::FairShare) and [`Partitions`](crate::Partitions) use the hint of the
    /// limit behind them. [`Http`](plimsoll_core::Http) spreads the hint of a full limit between
    /// one and two times its value, so that callers do not return together.
    ///
    /// # Errors
    ///
    /// When `hint` is zero or more than 1 day.
    pub fn retry_after(self, hint: Duration) -> Result<Self, InvalidConcurrencyLimit> {
        self.state.settings.set_retry_after(Some(hint))?;
        Ok(self)
    }

    /// Bounds the [estimated hint](Self::retry_after); the default is 1 minute.
    ///
    /// A hint that was set with [`retry_after`](Self::retry_after) is not bounded.
    ///
    /// # Errors
    ///
    /// When `max` is zero or more than 1 day.
    pub fn max_retry_after(self, max: Duration) -> Result<Self, InvalidConcurrencyLimit> {
        self.state.settings.set_max_retry_after(max)?;
        Ok(self)
    }
}
