//! What can be read of a retry layer.

use std::sync::Arc;

use plimsoll_core::policy::Counter;

use super::{fastest::Fastest, rules::Rules};
use crate::RetryBudget;

/// What the services of one layer share.
#[derive(Debug)]
pub(super) struct Shared {
    /// Whether a call without a deadline needs nothing before its first attempt: no timeout is set, and
    /// the budget does not count requests.
    pub(super) is_plain: bool,
    pub(super) rules: Rules,
    pub(super) budget: RetryBudget,
    pub(super) fastest: Fastest,
    pub(super) retries: Counter,
    pub(super) free: Counter,
    pub(super) too_late: Counter,
}

/// Reads the counters of a [`RetryLayer`](crate::RetryLayer). Clones share them.
#[derive(Debug, Clone)]
pub struct RetryHandle(pub(super) Arc<Shared>);

impl RetryHandle {
    /// Attempts after the first one that were sent, those included that cost no budget.
    pub fn retries(&self) -> u64 {
        self.0.retries.get()
    }

    /// Retries that cost no budget, since a gate had rejected the attempt before: nothing was run.
    pub fn free(&self) -> u64 {
        self.0.free.get()
    }

    /// Calls that ended with a failure because no further attempt could finish before the deadline.
    pub fn too_late(&self) -> u64 {
        self.0.too_late.get()
    }

    /// Returns the budget, which counts what it [suppressed](RetryBudget::suppressed).
    pub fn budget(&self) -> &RetryBudget {
        &self.0.budget
    }
}
