//! A gate's load, for tower's balancers.

use tower::load::Load;

use super::Gate;
use crate::LoadSignal;

/// Returns the policy's load: 0 idle, 1 at capacity, above 1 beyond.
///
/// A gate is ready whenever its service is ready, full or not, so a balancer cannot use readiness
/// to choose a gate; it can use this load. `tower::balance::p2c::Balance` sends to the less loaded
/// of two.
///
/// Concurrency limits, pairs of [`LoadSignal`]s (the higher load counts) and every other
/// [`LoadSignal`] have a load. For a gate whose policy has none, wrap it in a service that reads
/// the policy's handle.
impl<S, P: LoadSignal, T> Load for Gate<S, P, T> {
    type Metric = f64;

    #[inline]
    fn load(&self) -> f64 {
        self.policy().load()
    }
}
