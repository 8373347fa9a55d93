//! What can be read of a hedge layer.

use std::{sync::Arc, time::Duration};

use super::shared::Shared;
use crate::RetryBudget;

/// Reads the counters of a [`HedgeLayer`](crate::HedgeLayer). Clones share them.
#[derive(Debug, Clone)]
pub struct HedgeHandle(Arc<Shared>);

impl HedgeHandle {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

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
