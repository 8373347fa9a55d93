//! The layer.

use std::sync::Arc;

use tower_layer::Layer;

use super::{Hedge, HedgeHandle, shared::Shared};

/// Sends a call a second time when its answer is later than most ("The Tail at Scale", 2013).
///
/// The delay is a percentile of the latencies that this layer measures: no hedge is sent before there
/// are enough of them (20 for 0.95). The first good answer wins, and the other attempt is cancelled.
///
/// A hedge is sent only
///
/// - for requests that are safe to send twice, by method or by [`Idempotent`](crate::Idempotent),
/// - when the whole request has been recorded,
/// - when the budget allows it,
/// - and never while the callee asks for fewer calls: after a 429, a 503, a rejection or a pushback,
///   for as long as its hint, or a second.
///
/// # Shared state and cloning
///
/// All services of one layer, and their clones, share latencies, budget and counters. Make one layer
/// for each callee.
#[derive(Debug, Clone)]
pub struct HedgeLayer(pub(super) Arc<Shared>);

impl HedgeLayer {
    /// Returns a handle that reads the counters.
    pub fn handle(&self) -> HedgeHandle {
        HedgeHandle::new(Arc::clone(&self.0))
    }
}

impl<S> Layer<S> for HedgeLayer {
    type Service = Hedge<S>;

    fn layer(&self, inner: S) -> Hedge<S> {
        Hedge::new(inner, Arc::clone(&self.0))
    }
}
