//! Tracking: the limit follows the model from window to window, and alternates around its middle to
//! measure its effect.

use super::{Context, Phase, Step};
use crate::{LimitReason, control::headroom::Lowered};

/// The limit moves to where it should be. A large move needs a window to settle.
pub(in crate::control) fn steer(at: &Context<'_>, reason: Option<LimitReason>) -> Step {
    let limit = at.next_limit();
    let moved = (limit / at.limit).ln().abs() > at.model.tuning.changed;
    let phase = if moved { Phase::Settle } else { Phase::Track };
    let direction = if limit > at.limit {
        LimitReason::Growth
    } else {
        LimitReason::Latency
    };
    let window = at.measuring(if moved { limit } else { at.limit });
    Step::new(phase, limit, window, reason.unwrap_or(direction))
}

/// A window of the alternation.
pub(in crate::control) fn step(lowered: Lowered, at: &Context<'_>) -> Step {
    let reason = match lowered {
        Lowered::No => None,
        Lowered::ByLoss => Some(LimitReason::Throughput),
        Lowered::ByDrops => Some(LimitReason::Drops),
    };
    steer(at, reason)
}

/// The window after a move: calls from before have ended, and the next window measures.
pub(in crate::control) fn settled(at: &Context<'_>) -> Step {
    let window = at.measuring(at.limit);
    Step::new(Phase::Track, at.next_limit(), window, LimitReason::Steady)
}

/// Much less was done than expected: a pause, or lower capacity. A shorter window decides, under the
/// same limit.
pub(in crate::control) fn doubt(at: &Context<'_>) -> Step {
    let tuning = &at.model.tuning;
    let calls = (tuning.generations / 2.0 * at.limit).max(tuning.window_calls);
    Step::new(
        Phase::Track,
        at.limit,
        at.window(calls),
        LimitReason::Steady,
    )
}

/// No call was answered, and calls were dropped. The limit falls, but not below the base: at a limit
/// of 1 it would take long to detect that the service has recovered.
pub(in crate::control) fn unanswered(phase: Phase, at: &Context<'_>) -> Step {
    let least = at.model.base().min(at.limit);
    let lower = at.limit / at.model.tuning.boost_step;
    let limit = at.within(lower, least, f64::INFINITY);
    Step::new(phase, limit, at.measuring(limit), LimitReason::Drops)
}
