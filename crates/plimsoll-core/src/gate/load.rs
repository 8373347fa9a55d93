//! A gate's load, for tower's balancers.

use tower::load::Load;

use super::Gate;
use crate::LoadSignal;

/// The policy's load: 0 idle, 1 at the line. A gate is ready whenever its service is, full or not, so readiness does not
/// tell a balancer where to send a request; this does. `tower::balance::p2c::Balance` sends to the less loaded of two.
///
/// Policies with a load are concurrency limits, pairs of them (the worse counts), and whatever else is a
/// [`LoadSignal`]; for a gate whose policy has none, wrap it in a service of your own that asks its handle.
impl<S, P: LoadSignal, T> Load for Gate<S, P, T> {
    type Metric = f64;

    #[inline]
    fn load(&self) -> f64 {
        self.policy().load()
    }
}
