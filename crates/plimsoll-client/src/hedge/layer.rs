//! The layer, and what its services share.

use std::{sync::Arc, time::Duration};

use plimsoll_core::policy::{Counter, Epoch};
use tokio::time::Instant;
use tower_layer::Layer;

use super::{Hedge, HedgeBuilder, latency::Latency};
use crate::{
    RetryBudget, RetryHint,
    sync::{AtomicU64, Ordering::Relaxed},
};

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

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) latency: Latency,
    pub(super) at_least: Duration,
    pub(super) budget: RetryBudget,
    /// Whether successes pay into the budget here.
    pub(super) funds: bool,
    pub(super) replay_limit: usize,
    pub(super) quiet: Quiet,
    pub(super) hedges: Counter,
    pub(super) won: Counter,
}

/// Until when no hedge is sent.
#[derive(Debug)]
pub(super) struct Quiet {
    pub(super) epoch: Epoch,
    pub(super) until: AtomicU64,
}

/// How long no hedge is sent after an overload without a hint. A second, the shortest `Retry-After`.
/// `no_hedge_is_sent_under_pushback` fails when it is zero.
const QUIET: Duration = Duration::from_secs(1);

impl Quiet {
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.epoch.nanos(now) >= self.until.load(Relaxed)
    }

    /// The callee asks for fewer calls.
    pub(super) fn extend(&self, hint: RetryHint, now: Instant) {
        let wait = match hint {
            RetryHint::AtLeast(wait) | RetryHint::Exactly(wait) => wait.max(QUIET),
            RetryHint::None | RetryHint::Never => QUIET,
        };
        let wait = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
        let until = self.epoch.nanos(now).saturating_add(wait);
        self.until.fetch_max(until, Relaxed);
    }
}

impl HedgeLayer {
    /// Starts to set a layer up.
    pub fn builder() -> HedgeBuilder {
        HedgeBuilder::new()
    }

    /// Returns a handle that reads the counters.
    pub fn handle(&self) -> HedgeHandle {
        HedgeHandle(Arc::clone(&self.0))
    }
}

impl<S> Layer<S> for HedgeLayer {
    type Service = Hedge<S>;

    fn layer(&self, inner: S) -> Hedge<S> {
        Hedge::new(inner, Arc::clone(&self.0))
    }
}

/// Reads the counters of a [`HedgeLayer`]. Clones share them.
#[derive(Debug, Clone)]
pub struct HedgeHandle(Arc<Shared>);

impl HedgeHandle {
    /// Second attempts that were sent.
    pub fn hedges(&self) -> u64 {
        self.0.hedges.get()
    }

    /// Second attempts that answered first.
    pub fn won(&self) -> u64 {
        self.0.won.get()
    }

    /// The delay after which a second attempt is sent now; `None` while too few calls were measured.
    pub fn delay(&self) -> Option<Duration> {
        self.0.delay()
    }

    /// Returns the budget, which counts what it [suppressed](RetryBudget::suppressed).
    pub fn budget(&self) -> &RetryBudget {
        &self.0.budget
    }
}

impl Shared {
    pub(super) fn delay(&self) -> Option<Duration> {
        let percentile = self.latency.percentile()?;
        Some(percentile.max(self.at_least))
    }
}
