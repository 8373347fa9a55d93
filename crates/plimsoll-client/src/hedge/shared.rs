//! What the services of one layer share.

use std::time::Duration;

use plimsoll_core::policy::{Counter, Epoch};
use tokio::time::Instant;

use super::latency::Latency;
use crate::{
    RetryBudget, RetryHint,
    sync::{AtomicU64, Ordering::Relaxed},
};

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

impl Shared {
    pub(super) fn delay(&self) -> Option<Duration> {
        let percentile = self.latency.percentile()?;
        Some(percentile.max(self.at_least))
    }
}
