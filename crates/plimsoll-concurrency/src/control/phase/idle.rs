//! Idle: every request found a slot, so the window shows the load and not the service.

use super::{Context, Phase, Step};
use crate::{
    LimitReason,
    control::{headroom::most_in_time, observation::Observation},
};

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
    let late = (at.model.deadline_left).is_some_and(|left| seen.latency > at.model.inside() * left);
    // What is in flight is then a queue inside the service, in which deadlines pass.
    let most = if late {
        most_in_time(at.model)
    } else {
        f64::INFINITY
    };
    let limit = at.within(goal.min(most), 1.0, f64::INFINITY);
    Step::new(Phase::Track, limit, at.measuring(limit), LimitReason::Idle)
}
