//! The load signal of a limit.

use plimsoll_core::LoadSignal;

use crate::ConcurrencyLimit;

/// The load of the handle: requests in flight and in the queue, divided by the limit.
///
/// A [`Gate`](plimsoll_core::Gate) with this policy has a load for tower's balancers (feature
/// `load` of `plimsoll-core`).
impl<D, R> LoadSignal for ConcurrencyLimit<D, R> {
    #[inline]
    fn load(&self) -> f64 {
        self.handle().load()
    }
}
