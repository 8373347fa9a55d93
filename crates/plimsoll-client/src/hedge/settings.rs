//! The settings of a hedge layer.

use std::{sync::Arc, time::Duration};

use plimsoll_core::policy::{Counter, Epoch};

use super::{
    HedgeLayer,
    latency::Latency,
    shared::{Quiet, Shared},
};
use crate::{InvalidHedge, RetryBudget, RetryLayer, sync::AtomicU64};

/// Sets up a [`HedgeLayer`].
///
/// | setting | default |
/// |---|---|
/// | [`percentile`](Self::percentile) | 0.95 |
/// | [`at_least`](Self::at_least) | 1 ms |
/// | [`period`](Self::period) | 30 s |
/// | [`budget`](Self::budget) | one hedge for ten successes, ten in the bank |
/// | [`replay_limit`](Self::replay_limit) | 64 KiB |
#[derive(Debug, Clone)]
pub struct HedgeBuilder {
    percentile: f64,
    at_least: Duration,
    period: Duration,
    budget: Option<RetryBudget>,
    funds: bool,
    replay_limit: usize,
}

impl HedgeLayer {
    /// Starts to set a layer up.
    pub fn builder() -> HedgeBuilder {
        HedgeBuilder::new()
    }
}

impl HedgeBuilder {
    fn new() -> Self {
        Self {
            percentile: 0.95,
            at_least: Duration::from_millis(1),
            period: Duration::from_secs(30),
            budget: None,
            funds: true,
            replay_limit: 64 * 1024,
        }
    }

    /// Sets the share of calls that are answered before a hedge would be sent. With 0.95, one call in
    /// twenty is sent twice.
    #[must_use]
    pub fn percentile(mut self, percentile: f64) -> Self {
        self.percentile = percentile;
        self
    }

    /// Sets the least delay, for callees that answer within the noise of a timer.
    #[must_use]
    pub fn at_least(mut self, delay: Duration) -> Self {
        self.at_least = delay;
        self
    }

    /// Sets how long latencies count: they no longer count after one to two periods.
    #[must_use]
    pub fn period(mut self, period: Duration) -> Self {
        self.period = period;
        self
    }

    /// Sets the budget. Calls that succeed pay into it. For a layer inside of a retry layer use
    /// [`inside`](Self::inside).
    #[must_use]
    pub fn budget(mut self, budget: RetryBudget) -> Self {
        self.budget = Some(budget);
        self.funds = true;
        self
    }

    /// Uses the budget of the retry layer around this layer, which counts the calls.
    #[must_use]
    pub fn inside(mut self, retry: &RetryLayer) -> Self {
        self.budget = Some(retry.handle().budget().clone());
        self.funds = false;
        self
    }

    /// Sets how many bytes of a request's body are recorded. A larger body is sent once.
    #[must_use]
    pub fn replay_limit(mut self, bytes: usize) -> Self {
        self.replay_limit = bytes;
        self
    }

    /// Checks the settings and makes the layer.
    ///
    /// # Errors
    ///
    /// When the percentile is not above 0 and at most 0.9999, the least delay is above one hour, or
    /// the period is not in 1 second to 1 hour.
    pub fn build(self) -> Result<HedgeLayer, InvalidHedge> {
        if !(self.percentile > 0.0 && self.percentile <= 0.9999) {
            return Err(InvalidHedge::Percentile(self.percentile));
        }
        let hour = Duration::from_secs(3600);
        if self.at_least > hour {
            return Err(InvalidHedge::AtLeast(self.at_least));
        }
        if !(Duration::from_secs(1)..=hour).contains(&self.period) {
            return Err(InvalidHedge::Period(self.period));
        }
        let Some(latency) = Latency::new(self.percentile, self.period) else {
            return Err(InvalidHedge::Percentile(self.percentile));
        };
        Ok(HedgeLayer(Arc::new(Shared {
            latency,
            at_least: self.at_least,
            budget: self.budget.unwrap_or_default(),
            funds: self.funds,
            replay_limit: self.replay_limit,
            quiet: Quiet {
                epoch: Epoch::new(),
                until: AtomicU64::new(0),
            },
            hedges: Counter::new(),
            won: Counter::new(),
        })))
    }
}
