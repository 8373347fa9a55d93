//! The limit as its users build it.

use std::{fmt, sync::Arc, time::Duration};

use plimsoll_core::Kind;

use crate::{
    Adaptive, Algorithm, ConcurrencyHandle, InvalidConcurrency, settings::Settings, state::State,
};

/// A limit on requests in flight; one more is refused, or waits its turn.
///
/// A request holds its slot until its call is over: by default at the end of the response body.
///
/// # Who comes next
///
/// A slot that becomes free belongs to whoever has waited longest, at once: a request that arrives in that moment goes
/// to the end of the queue. A caller that stops waiting leaves nothing behind; if it had just been given a slot, the next
/// in the queue gets it. A response future that is neither polled nor dropped keeps its place, and the slot it
/// was given, as any other request in flight does.
///
/// # Cost
///
/// With a free slot: a compare-and-swap to get in, and a subtraction to get out. When full and without a queue, a load. Only
/// requests that wait, and slots that go to them, take a lock, for as long as it takes to link an entry of a list. A
/// queue's memory grows as it is first used, to at most its length and the limit together, in entries of 32 bytes.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use plimsoll_concurrency::Concurrency;
/// use plimsoll_core::{Deadlines, GateLayer};
///
/// # fn main() -> Result<(), plimsoll_concurrency::InvalidConcurrency> {
/// let limit = Concurrency::new(64)?
///     .queue(128, Duration::from_millis(50))?
///     .deadlines(Deadlines::new());
/// let layer = GateLayer::new(limit);
/// # let _: GateLayer<_> = layer;
/// # Ok(())
/// # }
/// ```
pub struct Concurrency<D = ()> {
    pub(crate) state: Arc<State>,
    pub(crate) deadlines: Arc<D>,
    pub(crate) kind: Kind,
}

impl Concurrency {
    /// Lets `limit` requests in at a time, and refuses the others at once with [`Kind::Full`].
    ///
    /// # Errors
    ///
    /// When `limit` is 0 or more than 2^30.
    pub fn new(limit: usize) -> Result<Self, InvalidConcurrency> {
        let state = State::new(Arc::new(Settings::new(limit)?));
        Ok(Self {
            state: Arc::new(state),
            deadlines: Arc::new(()),
            kind: Kind::Full,
        })
    }
}

impl Concurrency {
    /// A limit that finds itself: [`Adaptive`] with its defaults. Nothing has to be known of the service.
    ///
    /// # Panics
    ///
    /// Not here; but a request that has to wait makes a [`tokio::time::Sleep`], which panics outside of a tokio
    /// runtime with its timer enabled.
    pub fn adaptive() -> Self {
        Self::with(Settings::moved_by(Box::new(Adaptive::new())).unwrap())
    }

    /// A limit that this algorithm moves.
    ///
    /// # Errors
    ///
    /// When it begins with 0 or more than 2^30.
    pub fn moved_by(algorithm: impl Algorithm + 'static) -> Result<Self, InvalidConcurrency> {
        Ok(Self::with(Settings::moved_by(Box::new(algorithm))?))
    }

    fn with(settings: Settings) -> Self {
        Self {
            state: Arc::new(State::new(Arc::new(settings))),
            deadlines: Arc::new(()),
            kind: Kind::Full,
        }
    }
}

impl<D> Concurrency<D> {
    /// Up to `len` requests wait for a slot, first come first served, none longer than `max_wait`. A request that finds
    /// the queue full, or has waited that long, is refused like one without a queue.
    ///
    /// Time is counted in whole microseconds, rounded up, and tokio's timer fires on the millisecond after.
    ///
    /// # Errors
    ///
    /// When `len` is 0 or more than 2^20, or `max_wait` less than 1 microsecond or more than 1 hour.
    ///
    /// # Panics
    ///
    /// Not here; but a request that has to wait makes a [`tokio::time::Sleep`], which panics outside of a tokio
    /// runtime with its timer enabled.
    pub fn queue(self, len: usize, max_wait: Duration) -> Result<Self, InvalidConcurrency> {
        self.state.settings.set_queue(len, max_wait)?;
        Ok(self)
    }

    /// A request that waits is refused with [`Kind::Deadline`] when its deadline comes before its turn, or has
    /// passed when it would have to wait. Requests that find a slot are not asked: put
    /// [`Deadlines`](plimsoll_core::Deadlines) in front as a policy for that.
    pub fn deadlines<E>(self, deadlines: E) -> Concurrency<E> {
        Concurrency {
            state: self.state,
            deadlines: Arc::new(deadlines),
            kind: self.kind,
        }
    }

    /// Refuses with [`Kind::OverQuota`] instead of [`Kind::Full`]: for limits per key, where it is the caller who is
    /// over, and not the server that is full.
    pub fn per_caller(self) -> Self {
        Self {
            kind: Kind::OverQuota,
            ..self
        }
    }

    /// States when a refused caller should come back.
    ///
    /// Without it the hint is an estimate of when those who are in now will have been served: the time a slot is held,
    /// times the requests in flight and in the queue, over the limit. That time is a moving average over the
    /// requests that end while all slots are taken (the latest weighs a 16th), to the end of their bodies. It is 1 second
    /// before there was one.
    ///
    /// # Errors
    ///
    /// When it is zero or more than 1 day.
    pub fn retry_after(self, hint: Duration) -> Result<Self, InvalidConcurrency> {
        self.state.settings.set_retry_after(Some(hint))?;
        Ok(self)
    }

    /// Another limit with slots and a queue of its own, and the same settings and counters: what is changed through one
    /// handle is changed for all.
    ///
    /// ```
    /// use plimsoll_concurrency::Concurrency;
    /// use plimsoll_core::{ClientIp, GateLayer, Keyed, Missing};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let each = Concurrency::new(4)?.per_caller();
    /// let handle = each.handle(); // of all
    /// let per_client =
    ///     Keyed::new(ClientIp::peer(), Missing::Share, 10_000, move || each.cell())?;
    /// let layer = GateLayer::new(per_client);
    /// handle.set_limit(8)?;
    /// # let _: GateLayer<_> = layer;
    /// # Ok(())
    /// # }
    /// ```
    pub fn cell(&self) -> Self {
        Self {
            state: Arc::new(State::new(Arc::clone(&self.state.settings))),
            deadlines: Arc::clone(&self.deadlines),
            kind: self.kind,
        }
    }

    /// Reads and changes this limit while it works, and tells its load.
    pub fn handle(&self) -> ConcurrencyHandle {
        ConcurrencyHandle::new(Arc::clone(&self.state))
    }
}

impl<D> fmt::Debug for Concurrency<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Concurrency")
            .field("limit", &self.state.settings.limit())
            .field("in_flight", &self.state.in_flight())
            .field("queued", &self.state.queued())
            .finish_non_exhaustive()
    }
}
