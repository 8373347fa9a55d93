//! The concurrency limit's type and constructors.

use std::{fmt, sync::Arc, time::Duration};

use plimsoll_core::{Criticality, Kind, Priority, Same};

use super::{
    error::InvalidConcurrencyLimit, handle::ConcurrencyLimitHandle, settings::Settings,
    state::State,
};
use crate::{Adaptive, Algorithm, Tuning, control::sampler::Route};

/// The priority of every request when no `priorities` are set.
///
/// It names a cohort, so no random cohort is drawn. It is the lowest level, so the queue allocates
/// the list of one level only.
const EQUAL_PRIORITY: Priority = Priority::new(Criticality::Sheddable).in_cohort(0);

/// Limits the requests in flight; excess requests are rejected or queued.
///
/// A request holds its slot until its call has ended: by default at the end of the response body.
/// The slot of a response that is not read is reclaimed after the
/// [longest stall](Self::max_stall).
///
/// # Which waiter is admitted next
///
/// A released slot goes to a waiter at once, never to a request that arrives at that moment. The
/// waiter is the one with the highest [priority](Self::priorities). Among equals it is the one that
/// has waited longest, unless another [order](Self::order) is set.
///
/// A waiter that is cancelled leaves nothing behind; if it was already granted a slot, the next
/// waiter gets that slot. A response future that is neither polled nor dropped keeps its place in
/// the queue, and a slot that was granted to it counts as in flight.
///
/// # Cost
///
/// | case | cost |
/// |---|---|
/// | a slot is free | one compare-and-swap to take it, one subtraction to release it; an addition and a compare-and-swap to count a response as unread |
/// | full, without a queue | one load |
/// | full, with a queue | a lock to queue a request, and one to hand a slot to a waiter, each held while an entry is linked into three lists |
/// | rejected by a full queue | no lock: the queue's length and its lowest level are one atomic |
///
/// Deadlines and priorities are read only when no slot is free.
///
/// The memory of the queue grows on first use. It holds one entry for each waiter, and one for each
/// answered waiter whose future has not been polled yet: at most `limit + 2 * len` entries
/// (`limit + len + 1024` when `len` is below 1,024). It also holds 8 bytes for each level up to the
/// highest one used: 4 KiB for all 512 levels.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use plimsoll_concurrency::ConcurrencyLimit;
/// use plimsoll_core::{Deadlines, GateLayer};
///
/// # fn main() -> Result<(), plimsoll_concurrency::InvalidConcurrencyLimit> {
/// let limit = ConcurrencyLimit::new(64)?
///     .queue(128, Duration::from_millis(50))?
///     .deadlines(Deadlines::new());
/// let layer = GateLayer::new(limit);
/// # let _: GateLayer<_> = layer;
/// # Ok(())
/// # }
/// ```
#[doc(alias(
    "bulkhead",
    "semaphore",
    "in flight",
    "backpressure",
    "throttling",
    "503",
    "adaptive concurrency"
))]
pub struct ConcurrencyLimit<D = (), R = Same> {
    pub(crate) state: Arc<State>,
    pub(crate) deadlines: Arc<D>,
    pub(crate) priorities: Arc<R>,
    pub(crate) kind: Kind,
    pub(crate) route: Option<Arc<Route>>,
}

impl ConcurrencyLimit {
    /// Admits at most `limit` requests at a time and rejects the rest with [`Kind::Full`].
    ///
    /// # Errors
    ///
    /// When `limit` is 0 or more than 2^30.
    pub fn new(limit: usize) -> Result<Self, InvalidConcurrencyLimit> {
        Ok(Self::with(Settings::new(limit)?))
    }

    /// Creates a limit that adapts to the service: [`Adaptive`] with its defaults.
    ///
    /// # Panics
    ///
    /// This function does not panic. But a queued request creates a [`tokio::time::Sleep`], which
    /// panics outside a tokio runtime with its timer enabled.
    pub fn adaptive() -> Self {
        Self::with(Settings::with_algorithm(Box::new(Adaptive::new()), &Tuning::DEFAULT).unwrap())
    }

    /// Creates a limit that is moved by an algorithm.
    ///
    /// # Errors
    ///
    /// When the algorithm's initial limit is 0 or more than 2^30.
    pub fn with_algorithm(
        algorithm: impl Algorithm + 'static,
    ) -> Result<Self, InvalidConcurrencyLimit> {
        Self::tuned(algorithm, &Tuning::DEFAULT)
    }

    /// Creates a limit with other numbers for its windows; for the laboratory.
    #[doc(hidden)]
    pub fn tuned(
        algorithm: impl Algorithm + 'static,
        tuning: &Tuning,
    ) -> Result<Self, InvalidConcurrencyLimit> {
        let settings = Settings::with_algorithm(Box::new(algorithm), tuning)?;
        Ok(Self::with(settings))
    }

    fn with(settings: Settings) -> Self {
        Self {
            state: Arc::new(State::new(Arc::new(settings))),
            deadlines: Arc::new(()),
            priorities: Arc::new(Same(EQUAL_PRIORITY)),
            kind: Kind::Full,
            route: None,
        }
    }
}

impl<D, R> ConcurrencyLimit<D, R> {
    /// Sets how long a response may stay unread while the limit is full.
    ///
    /// The default is 10 seconds; `None` disables it.
    ///
    /// A response is unread while its head or a frame was handed to the server and the server has
    /// not asked for the next one: the caller has stopped reading, or its HTTP/2 window is 0. Such
    /// a caller would hold its slot for as long as its connection lives, and two of them block a
    /// limit of 2. So the slots are reclaimed:
    ///
    /// - The time starts with the first request that finds the limit full. A slot is reclaimed
    ///   after 1 to 1.25 times `longest`, by a request that finds the limit full or waits in the
    ///   queue. No slot is reclaimed while every request finds one free.
    /// - A caller makes progress when the server asks for the next frame. A slow reader that takes
    ///   one frame within `longest` keeps its slot. (Data that fits into the buffers of server and
    ///   kernel counts as read.)
    /// - No time passes while the body waits for the service, as an idle event stream does.
    /// - The response is not cut off, because the caller could mistake the cut for its end. It
    ///   continues without a slot, and is counted in
    ///   [`stalled`](crate::ConcurrencyLimitHandle::stalled). The number of connections bounds such
    ///   responses: limit connections per address with `BoundedListener`.
    /// - An adaptive limit does not sample the end of such a call.
    ///
    /// [`FairShare`](crate::FairShare) and [`Partitions`](crate::Partitions) use the setting of the
    /// limit behind them, and reclaim its slots where they reject. A permit that was
    /// [handed over](plimsoll_core::Handover) to an upgraded socket keeps its slot.
    ///
    /// ```
    /// use std::time::Duration;
    /// use plimsoll_concurrency::ConcurrencyLimit;
    ///
    /// # fn main() -> Result<(), plimsoll_concurrency::InvalidConcurrencyLimit> {
    /// let limit = ConcurrencyLimit::new(64)?.max_stall(Duration::from_secs(30))?;
    /// // Behind a proxy that buffers whole responses:
    /// let trusted = ConcurrencyLimit::new(64)?.max_stall(None)?;
    /// # _ = (limit, trusted);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// When `longest` is less than 100 milliseconds or more than 1 hour.
    pub fn max_stall(
        self,
        longest: impl Into<Option<Duration>>,
    ) -> Result<Self, InvalidConcurrencyLimit> {
        self.state.settings.set_max_stall(longest.into())?;
        Ok(self)
    }

    /// Returns a handle that reads and changes this limit at run time, and is its load signal.
    pub fn handle(&self) -> ConcurrencyLimitHandle {
        ConcurrencyLimitHandle::new(Arc::clone(&self.state))
    }
}

impl<D, R> fmt::Debug for ConcurrencyLimit<D, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConcurrencyLimit")
            .field("limit", &self.state.settings.limit())
            .field("in_flight", &self.state.in_flight())
            .field("queued", &self.state.queued())
            .finish_non_exhaustive()
    }
}
