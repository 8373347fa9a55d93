//! Whether an attempt is retried, and after which wait. Pure: no clock, no randomness, no budget.

use std::time::Duration;

use super::{
    reading::{Failed, Ran},
    rules::Rules,
};
use crate::{RetryHint, backoff::scaled};

/// The attempts of a call so far.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Attempts {
    /// Those that the callee may have run.
    pub(super) ran: u32,
    /// Those that a gate rejected.
    pub(super) rejected: u32,
    /// Retries since the start, or since the last pushback: the exponent of the backoff.
    pub(super) backoffs: u32,
    /// The last wait.
    pub(super) waited: Duration,
}

impl Attempts {
    pub(super) fn count(&mut self, ran: Ran) {
        if ran.is_free() {
            self.rejected = self.rejected.saturating_add(1);
        } else {
            self.ran = self.ran.saturating_add(1);
        }
    }

    pub(super) fn all(&self) -> u32 {
        self.ran.saturating_add(self.rejected)
    }
}

/// What is done after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// The caller receives the answer.
    Stop,
    /// Another attempt is sent after a wait.
    Retry {
        /// The wait.
        after: Duration,
        /// Whether the backoff starts again.
        restarts: bool,
    },
}

/// A call, as far as the decision depends on it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Situation {
    /// The most attempts that may run.
    pub(super) max_attempts: u32,
    /// Whether the request may be sent twice.
    pub(super) is_idempotent: bool,
    /// The time until the caller's deadline.
    pub(super) left: Option<Duration>,
    /// What an attempt needs at least: a retry with less time left cannot finish.
    pub(super) needed: Duration,
}

/// Decides about a failed attempt, which `attempts` includes.
pub(super) fn next(
    rules: &Rules,
    attempts: &Attempts,
    situation: &Situation,
    failed: Failed,
    random: f64,
) -> Next {
    if !situation.is_idempotent && !failed.ran.is_safe() {
        return Next::Stop;
    }
    // While a deadline lasts, rejections are not counted: nothing was run, and each waits its hint.
    let counted = match situation.left {
        Some(_) => attempts.ran,
        None => attempts.all(),
    };
    if counted >= situation.max_attempts {
        return Next::Stop;
    }
    // The longest wait after which an attempt can still finish.
    let longest = match situation.left {
        Some(left) => match left.checked_sub(situation.needed) {
            Some(longest) if !longest.is_zero() => longest,
            _ => return Next::Stop,
        },
        // An open circuit without a deadline ends the call: nothing bounds the wait.
        None if failed.ran == Ran::CircuitOpen => return Next::Stop,
        None => Duration::MAX,
    };
    let backoff = |unit: f64| {
        let retry = attempts.backoffs.saturating_add(1);
        rules.backoff.wait(retry, attempts.waited, unit)
    };
    match failed.hint {
        // A pushback is never shortened: one above the ceiling ends the call.
        RetryHint::Exactly(wait) if wait <= longest.min(rules.longest_hint) => Next::Retry {
            after: wait,
            restarts: true,
        },
        RetryHint::AtLeast(wait) if wait <= longest => {
            // Jitter only upwards. At least a tenth of the hint, so that clients with one hint do not
            // return together, and at least the backoff, so that a hint of zero is no invitation.
            let spread = backoff(1.0)
                .max(wait / 10)
                .min(longest.saturating_sub(wait));
            Next::Retry {
                after: wait + scaled(spread, random),
                restarts: false,
            }
        }
        RetryHint::Never | RetryHint::Exactly(_) | RetryHint::AtLeast(_) => Next::Stop,
        RetryHint::None => {
            // A backoff is a choice of this client: it is shortened to what the deadline leaves, and
            // the randomness with it, so that late retries do not come in one instant.
            let most = backoff(1.0);
            let wait = backoff(random);
            let after = if most <= longest {
                wait
            } else {
                scaled(longest, wait.as_secs_f64() / most.as_secs_f64())
            };
            Next::Retry {
                after,
                restarts: false,
            }
        }
    }
}
