//! Further limits with the settings of one, and further routes of one limit.

use std::sync::Arc;

use plimsoll_core::{InvalidKeyed, Keyed, Missing};

use super::{concurrency::ConcurrencyLimit, state::State};

impl<D, R> ConcurrencyLimit<D, R> {
    /// Makes this limit one per key that `key` reads, for up to `capacity` keys at a time.
    ///
    /// Each key has its own slots and queue; all keys share settings, counters and handle.
    /// `missing` decides about requests without a key. See [`Keyed`] for keys beyond the capacity.
    ///
    /// Not for an adaptive limit: the cells share their settings, so one limit would be moved by
    /// the latencies of all keys.
    ///
    /// ```
    /// use plimsoll_concurrency::ConcurrencyLimit;
    /// use plimsoll_core::{ClientIp, GateLayer, Missing};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let each = ConcurrencyLimit::new(4)?.reject_as_over_quota();
    /// let handle = each.handle(); // of all keys
    /// let per_client = each.per_key(ClientIp::peer(), Missing::Share, 10_000)?;
    /// let layer = GateLayer::new(per_client);
    /// handle.set_limit(8)?;
    /// # let _: GateLayer<_> = layer;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// When `capacity` is zero or more than 2^28.
    pub fn per_key<K>(
        self,
        key: K,
        missing: Missing,
        capacity: usize,
    ) -> Result<Keyed<K, Self>, InvalidKeyed>
    where
        D: Send + Sync + 'static,
        R: Send + Sync + 'static,
    {
        Keyed::new(key, missing, capacity, move || self.cell())
    }

    /// Returns a limit with its own slots and queue that shares settings and counters with this
    /// one: the cell of one key.
    #[doc(hidden)]
    pub fn cell(&self) -> Self {
        Self {
            state: Arc::new(State::new(Arc::clone(&self.state.settings))),
            deadlines: Arc::clone(&self.deadlines),
            priorities: Arc::clone(&self.priorities),
            kind: self.kind,
            route: None,
        }
    }

    /// Makes one [route](Self::route) of this limit per key that `key` reads, for up to `capacity`
    /// keys at a time.
    ///
    /// All keys share the slots; only latency is measured per key. Requests without a key, and keys
    /// beyond the capacity, are measured as further routes.
    ///
    /// # Errors
    ///
    /// When `capacity` is zero or more than 2^28.
    pub fn per_route<K>(
        self,
        key: K,
        missing: Missing,
        capacity: usize,
    ) -> Result<Keyed<K, Self>, InvalidKeyed>
    where
        D: Send + Sync + 'static,
        R: Send + Sync + 'static,
    {
        Keyed::new(key, missing, capacity, move || self.route())
    }

    /// Returns an entrance to the same limit for one route, whose latency is measured separately.
    ///
    /// Slots, queue and settings are shared. Where routes of different speed share an adaptive
    /// limit, the mean latency moves with their mix, as it does with load. Measured separately, a
    /// change of the mix is not mistaken for load: [`Adaptive`](crate::Adaptive) treats a window
    /// with more calls of slow routes as a window of fewer, longer calls. Other algorithms read
    /// [`Window::route_latency`](crate::Window::route_latency). A fixed limit ignores routes.
    ///
    /// - The baseline of a route is known after requests for it in two windows in which calls did
    ///   not wait for each other; the second must come within 32 windows of the first. While most
    ///   calls are of routes without a baseline, routes are not separated.
    /// - Changes through a handle apply to all routes, as do [queue](Self::queue),
    ///   [order](Self::order) and hint. [Deadlines](Self::deadlines),
    ///   [priorities](Self::priorities) and the [kind of rejection](Self::reject_as_over_quota)
    ///   belong to each entrance, and start as copies of this one's.
    /// - A limit [per key](Self::per_key) that is made from a route has no routes.
    /// - With [`per_route`](Self::per_route) a route may be evicted while its requests are in
    ///   flight: only what was measured for that route is lost.
    ///
    /// It costs a `try_lock` at the end of each call; no call waits for that lock.
    ///
    /// ```
    /// use plimsoll_concurrency::ConcurrencyLimit;
    /// use plimsoll_core::{Choose, GateLayer, Missing, Route};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let limit = ConcurrencyLimit::adaptive();
    /// let (search, rest) = (GateLayer::new(limit.route()), GateLayer::new(limit.route()));
    /// # let _: (GateLayer<_>, GateLayer<_>) = (search, rest);
    ///
    /// let cases = [("/search", limit.route())];
    /// let layer = GateLayer::new(Choose::by(Route::matched(), cases, limit.route()));
    /// # let _: GateLayer<_> = layer;
    ///
    /// let each = limit.per_route(Route::matched(), Missing::Share, 1000)?;
    /// let layer = GateLayer::new(each);
    /// # let _: GateLayer<_> = layer;
    /// # Ok(())
    /// # }
    /// ```
    pub fn route(&self) -> Self {
        Self {
            state: Arc::clone(&self.state),
            deadlines: Arc::clone(&self.deadlines),
            priorities: Arc::clone(&self.priorities),
            kind: self.kind,
            route: Some(Arc::default()),
        }
    }
}
