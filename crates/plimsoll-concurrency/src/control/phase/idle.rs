//! Idle: every request found a slot, so the window shows the load and not the service.

use super::{Context, Phase, Step};
use crate::{LimitReason, control::observation::Observation};

/// The limit rises to where the model has it, and falls slowly: not below what the next burst may
/// need, nor below the initial limit.
pub(in crate::control) fn step(seen: &Observation, at: &Context<'_>) -> Step {
    let tuning = &at.model.tuning;
    let goal = at.middle();
    let goal = if goal > at.limit {
        goal
    } else {
        let initial = f64::from(at.settings.bounds.initial);
        let used = tuning.spare * seen.max_in_flight;
        let lowest = goal.max(used).max(initial).min(at.limit);
        at.limit + tuning.fade * (lowest - at.limit)
    };
    let limit = at.within(goal, 1.0, f64::INFINITY);
    Step::new(Phase::Track, limit, at.measuring(limit), LimitReason::Idle)
}
