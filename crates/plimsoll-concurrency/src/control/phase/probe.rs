//! Probes: for a moment the limit is below the base, so that no call waits for another, and the mean
//! latency is the no-load latency.
//!
//! A slow service and one in which calls queue both have a high latency. Probes distinguish them.

use std::time::Duration;

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
    let shallow = at.model.agreed >= 2;
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
        loose: 0,
    };
    drain(probe, at.model.base() * depth, at)
}

/// Calls still wait for each other: the probe goes lower.
pub(in crate::control) fn lower(probe: Probe, at: &Context<'_>) -> Step {
    let probe = Probe {
        shallow: false,
        loose: 0,
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

/// Calls from before the probe have ended, with the latency of `seen`: the next window measures.
pub(in crate::control) fn measure(probe: Probe, seen: &Observation, at: &Context<'_>) -> Step {
    let tuning = &at.model.tuning;
    let least = tuning.window_calls * at.model.probe_calls();
    let size = at.window((tuning.generations * at.limit).max(least));
    // Short calls end first, so the first estimate could be theirs: wait for the long ones.
    let long = tuning.pays * seen.latency * (1.0 + seen.variation);
    let time = if at.model.agreed == 0 {
        size.time.max(seconds(long))
    } else {
        size.time
    };
    let window = WindowSize { time, ..size };
    Step::new(Phase::Measure(probe), at.limit, window, LimitReason::Probe)
}

/// Whether this window is to be measured again, since calls from before were still in it. `None`
/// once that does not help: calls are cancelled, or several cells share the limit.
pub(in crate::control) fn again(probe: Probe, at: &Context<'_>) -> Option<Step> {
    let probe = Probe {
        loose: probe.loose + 1,
        ..probe
    };
    let patience = at.model.tuning.generations as u32;
    let window = at.measuring(at.limit);
    (probe.loose <= patience)
        .then(|| Step::new(Phase::Measure(probe), at.limit, window, LimitReason::Probe))
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
