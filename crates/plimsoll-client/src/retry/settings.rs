//! The settings of a retry layer.

use std::{error::Error, sync::Arc, time::Duration};

use http::{HeaderName, StatusCode};
use plimsoll_core::policy::Counter;

use super::{RetryLayer, fastest::Fastest, handle::Shared, rules::Rules};
use crate::{Backoff, InvalidRetry, RetryBudget};

/// The most attempts of a gRPC call, as gRFC A6 caps them.
pub(super) const GRPC_MOST: u32 = 5;
/// The longest timeout that can be set: a day. Timers of tokio end at about two years.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Sets up a [`RetryLayer`].
///
/// | setting | default |
/// |---|---|
/// | [`budget`](Self::budget) | one retry for ten successes, ten in the bank |
/// | [`max_attempts`](Self::max_attempts) | 3 |
/// | [`backoff`](Self::backoff) | 100 ms, doubled up to 10 s, full jitter |
/// | [`statuses`](Self::statuses) | 408, 429, 502, 503, 504 |
/// | [`grpc_codes`](Self::grpc_codes) | 14 `UNAVAILABLE` |
/// | [`retry_errors`](Self::retry_errors) | all |
/// | [`every_method`](Self::every_method) | off: idempotent requests only |
/// | [`attempt_timeout`](Self::attempt_timeout), [`total_timeout`](Self::total_timeout) | none |
/// | [`least_time`](Self::least_time) | 1 ms, or the fastest recent success if that is longer |
/// | [`longest_hint`](Self::longest_hint) | 1 minute |
/// | [`replay_limit`](Self::replay_limit) | 64 KiB |
/// | [`grpc_unary`](Self::grpc_unary) | off: gRPC calls are decided at the head |
/// | [`attempt_header`](Self::attempt_header) | none; gRPC calls have `grpc-previous-rpc-attempts` |
#[derive(Debug, Clone)]
pub struct RetryBuilder {
    rules: Rules,
    budget: Option<RetryBudget>,
}

impl RetryLayer {
    /// A layer with the defaults of a [`RetryBuilder`].
    pub fn new() -> Self {
        Self::builder().finish()
    }

    /// Starts to set a layer up.
    pub fn builder() -> RetryBuilder {
        RetryBuilder::new()
    }
}

impl Default for RetryLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl RetryBuilder {
    fn new() -> Self {
        Self {
            rules: Rules::default(),
            budget: None,
        }
    }

    /// Sets the budget, shared with all its clones.
    #[must_use]
    pub fn budget(mut self, budget: RetryBudget) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Sets the most attempts of a call, the first included. Calls of gRPC have at most five.
    ///
    /// Attempts that a gate rejected are not counted while a deadline lasts: nothing was run.
    /// Without a deadline they are counted.
    #[must_use]
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.rules.max_attempts = attempts;
        self
    }

    /// Sets the waits between attempts.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.rules.backoff = backoff;
        self
    }

    /// Sets the statuses that are retried. An answer with `plimsoll-rejected-by` is retried whatever
    /// its status, except 504.
    #[must_use]
    pub fn statuses(mut self, statuses: impl IntoIterator<Item = StatusCode>) -> Self {
        self.rules.statuses = statuses.into_iter().collect();
        self
    }

    /// Sets the gRPC codes that are retried.
    #[must_use]
    pub fn grpc_codes(mut self, codes: impl IntoIterator<Item = u8>) -> Self {
        let bit = |code: u8| 1_u32.checked_shl(code.into()).unwrap_or(0);
        self.rules.grpc_codes = codes.into_iter().fold(0, |codes, code| codes | bit(code));
        self
    }

    /// Sets which errors of the inner service are retried. A rejection by a gate below is not shown
    /// to the closure.
    #[must_use]
    pub fn retry_errors<F>(mut self, retries: F) -> Self
    where
        F: Fn(&(dyn Error + 'static)) -> bool + Send + Sync + 'static,
    {
        self.rules.errors = Some(Arc::new(retries));
        self
    }

    /// Also retries requests that are not idempotent: opt-in for callees that detect duplicates, and
    /// for gRPC methods that may run twice. [`Idempotent`](crate::Idempotent) decides for one
    /// request.
    #[must_use]
    pub fn every_method(mut self) -> Self {
        self.rules.every_method = true;
        self
    }

    /// Sets the time of each attempt, from the call to the answer's head (with
    /// [`grpc_unary`](Self::grpc_unary), to the trailers).
    #[must_use]
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.rules.attempt_timeout = Some(timeout);
        self
    }

    /// Sets the time of a call with all its attempts. An earlier deadline of the request counts: a
    /// [`Deadline`](plimsoll_core::Deadline) in its extensions, `grpc-timeout`, or
    /// `plimsoll-timeout-ms`.
    #[must_use]
    pub fn total_timeout(mut self, timeout: Duration) -> Self {
        self.rules.total_timeout = Some(timeout);
        self
    }

    /// Sets the least time left for another attempt.
    ///
    /// The fastest success of the last 30 to 60 seconds counts if it is longer: with less time left,
    /// an attempt cannot finish. Only calls with a deadline are measured.
    #[must_use]
    pub fn least_time(mut self, least: Duration) -> Self {
        self.rules.least_time = least;
        self
    }

    /// Sets the ceiling of hints. A longer `Retry-After` or `RetryInfo` is shortened to it; a longer
    /// gRPC pushback ends the call.
    #[must_use]
    pub fn longest_hint(mut self, longest: Duration) -> Self {
        self.rules.longest_hint = longest;
        self
    }

    /// Sets how many bytes of a request's body are recorded. A larger body is sent once.
    #[must_use]
    pub fn replay_limit(mut self, bytes: usize) -> Self {
        self.rules.replay_limit = bytes;
        self
    }

    /// Decides about gRPC calls by their trailers: up to `limit` bytes of an answer are read before
    /// the caller receives it. For unary calls; messages of a stream would be delayed. A longer
    /// answer is decided at its head.
    #[must_use]
    pub fn grpc_unary(mut self, limit: usize) -> Self {
        self.rules.unary_limit = Some(limit);
        self
    }

    /// Sets a header with the number of earlier attempts, for retries that are not gRPC. There is no
    /// standard header for it.
    #[must_use]
    pub fn attempt_header(mut self, name: HeaderName) -> Self {
        self.rules.attempt_header = Some(name);
        self
    }

    /// Checks the settings and makes the layer.
    ///
    /// # Errors
    ///
    /// When `max_attempts` is not in 1 to 100, a timeout is zero or above one day, or `longest_hint`
    /// is above one day.
    pub fn build(self) -> Result<RetryLayer, InvalidRetry> {
        let rules = &self.rules;
        if !(1..=100).contains(&rules.max_attempts) {
            return Err(InvalidRetry::MaxAttempts(rules.max_attempts));
        }
        let bad = |timeout: Duration| timeout.is_zero() || timeout > LONGEST;
        if let Some(timeout) = rules.attempt_timeout.filter(|timeout| bad(*timeout)) {
            return Err(InvalidRetry::AttemptTimeout(timeout));
        }
        if let Some(timeout) = rules.total_timeout.filter(|timeout| bad(*timeout)) {
            return Err(InvalidRetry::TotalTimeout(timeout));
        }
        if rules.longest_hint > LONGEST {
            return Err(InvalidRetry::LongestHint(rules.longest_hint));
        }
        Ok(self.finish())
    }

    /// Makes the layer of settings that are in bounds.
    fn finish(self) -> RetryLayer {
        let budget = self.budget.unwrap_or_default();
        RetryLayer(Arc::new(Shared {
            is_plain: !self.rules.is_timed() && !budget.counts_requests(),
            rules: self.rules,
            budget,
            fastest: Fastest::default(),
            retries: Counter::new(),
            free: Counter::new(),
            too_late: Counter::new(),
        }))
    }
}
