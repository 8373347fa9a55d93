//! Probes: for a moment the limit is below the base, so that no call waits for another, and the mean
//! latency is the no-load latency.
//!
//! A slow service and one in which calls queue both have a high latency. Probes distinguish them.

use std::{ops::ControlFlow, time::Duration};

use tokio::time::Instant;

use super::{Context, Phase, Probe, Step, seconds};
use crate::{LimitReason, WindowSize, control::observation::Observation};

/// The first probe, at the end of the startup.
pub(in crate::control) fn first(now: Instant, at: &Context<'_>) -> Step {
    begin(now, at.model.tuning.probe_depth, at)
}

/// A probe that is due. Once two agree, a shallow one checks the estimate.
pub(in crate::control) fn due(now: Instant, at: &Context<'_>) -> Step {
    let tuning = &at.model.tuning;
    let shallow = at.model.agreed >= 2 && !at.model.doubts_probe(now);
    begin(
        now,
        if shallow {
            tuning.nearly_all
        } else {
            tuning.probe_depth
        },
        at,
    )
}

fn begin(now: Instant, depth: f64, at: &Context<'_>) -> Step {
    let probe = Probe {
        began: now,
        before: at.limit,
        shallow: depth > at.model.tuning.probe_depth,
        most: f64::INFINITY,
        drained: false,
        least: 0.0,
        seen: None,
    };
    drain(
        probe,
        at.model.likely_no_load() * at.model.capacity * depth,
        at,
    )
}

/// Calls still wait for each other: the probe goes lower.
pub(in crate::control) fn lower(probe: Probe, at: &Context<'_>) -> Step {
    let probe = Probe {
        shallow: false,
        most: f64::INFINITY,
        drained: false,
        seen: None,
        ..probe
    };
    drain(probe, at.limit * at.model.tuning.probe_depth, at)
}

/// Lowers the limit, and lets the calls above it end.
fn drain(probe: Probe, limit: f64, at: &Context<'_>) -> Step {
    let model = at.model;
    let limit = at.within(limit.floor(), 1.0, f64::INFINITY);
    // The time to serve what is in flight, and not that number of calls: those whose callers leave
    // would be waited for, under a low limit.
    let serve = at.limit / model.capacity;
    let longest = model.tuning.longest_wait * model.no_load;
    let window = WindowSize {
        time: model.tail().max(seconds(serve.min(longest))),
        samples: 1,
    };
    Step::new(Phase::Drain(probe), limit, window, LimitReason::Probe)
}

/// Calls from before the probe have ended, with the latency of `seen`: the next windows measure.
pub(in crate::control) fn measure(probe: Probe, seen: &Observation, at: &Context<'_>) -> Step {
    // Short calls end first, so the first estimate could be theirs: wait for the long ones.
    let long = if at.model.agreed == 0 {
        // The calls from before have waited for each other, too.
        let latency = seen.latency.min(at.model.likely_no_load());
        at.model.tuning.pays * latency * (1.0 + seen.variation.max(at.model.variation))
    } else {
        0.0
    };
    let least = long.max(at.model.tail().as_secs_f64());
    next_part(Probe { least, ..probe }, at)
}

/// Joins this window to those before it. Returns the whole measurement once it is complete, and the
/// next step until then.
///
/// It is complete when it has enough calls, and those that ended are those that were in flight. It
/// ends in any case after four times the time that the model expects: then calls are held for longer
/// than a no-load latency that is too short, so the limit is far below the base, and each second of
/// the probe costs as much as it was to cost in all.
pub(in crate::control) fn join(
    probe: Probe,
    seen: &Observation,
    at: &Context<'_>,
) -> ControlFlow<Observation, Step> {
    let tuning = &at.model.tuning;
    let most = seen.max_in_flight;
    let drains = most > at.limit && most < probe.most;
    let old = seen.holds_old_calls(tuning) && !probe.drained;
    if probe.seen.is_none() && (drains || old) {
        let drained = !drains;
        return ControlFlow::Continue(next_part(
            Probe {
                most,
                drained,
                ..probe
            },
            at,
        ));
    }
    let all = probe.seen.map_or(*seen, |before| before.and(seen));
    let (calls, most) = (calls(at), tuning.generations);
    if all.time > most * expected(at) {
        return ControlFlow::Break(all.by_residence());
    }
    // Where calls are cancelled or several cells share the limit, no number of calls is enough.
    let balanced = all.obeys_littles_law(tuning) || all.calls >= most * calls;
    if balanced && all.calls >= calls && all.time >= probe.least {
        return ControlFlow::Break(all);
    }
    let seen = Some(all);
    ControlFlow::Continue(next_part(Probe { seen, ..probe }, at))
}

/// The calls that a probe measures.
fn calls(at: &Context<'_>) -> f64 {
    let tuning = &at.model.tuning;
    (tuning.generations * at.limit).max(tuning.window_calls * at.model.probe_calls())
}

/// The time that this takes, in seconds, if the model is right.
fn expected(at: &Context<'_>) -> f64 {
    calls(at) / (at.model.tuning.probe_depth * at.model.capacity)
}

/// A window for a part of the measurement. It ends by time: under a limit that is far too low, calls
/// are few.
fn next_part(probe: Probe, at: &Context<'_>) -> Step {
    let tuning = &at.model.tuning;
    let part = expected(at) / tuning.generations;
    let window = WindowSize {
        time: seconds(part.max(tuning.shortest_window)),
        samples: 1,
    };
    Step::new(Phase::Measure(probe), at.limit, window, LimitReason::Probe)
}

/// Ends a probe, and puts off the next one for as long as makes this one cheap. `lost` is the share
/// of the throughput that it cost.
pub(in crate::control) fn end(probe: Probe, now: Instant, lost: f64, at: &Context<'_>) -> Step {
    let tuning = &at.model.tuning;
    // Not far above the limit of before: if the service has become slow, so has its capacity.
    let most = (tuning.spare * probe.before).max(tuning.most_move * at.limit);
    let middle = at.middle();
    let limit = at.within(middle, 1.0, most);
    // The next costs no less than a shallow one, even if this one happened to, and no more than a
    // deep one, even if this one went lower.
    let lost = lost.clamp(1.0 - tuning.nearly_all, 1.0 - tuning.probe_depth);
    let budget = tuning.probe_cost * at.model.urgency();
    let pause = seconds((now - probe.began).as_secs_f64() * lost / budget);
    Step {
        next_probe: Some(now + pause.max(Duration::from_millis(1))),
        ..Step::new(Phase::Settle, limit, at.window(middle), LimitReason::Probe)
    }
}
