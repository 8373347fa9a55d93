//! Startup: the limit grows by a factor with each window, for as long as that pays.

use super::{Context, Phase, Step, probe, seconds, track};
use crate::{
    LimitReason, WindowSize,
    control::{model::Model, observation::Observation},
};

/// Whether a tracked window shows a capacity that was never tried: the service was not under
/// pressure before, or it becomes faster the more it does.
pub(in crate::control) fn is_due(seen: &Observation, model: &Model) -> bool {
    let enough = model.tuning.pays * model.capacity;
    if model.next_probe.is_none() {
        // Only idle time was seen, and a part of this window may be idle, too. While calls are fast,
        // the service can do as much as at the moment when the most were in flight.
        let most = seen.max_in_flight / seen.latency;
        return most > enough && is_fast(seen, model);
    }
    let faster = seen.latency < model.no_load;
    faster && seen.throughput.min(seen.counted) > enough
}

/// The window as its busiest moment was. One that began before the load has fewer calls than the
/// service answers now: with its mean, the calls in flight would seem to take long.
pub(in crate::control) fn at_its_most(seen: &Observation, model: &Model) -> Observation {
    let mut most = *seen;
    if !seen.obeys_littles_law(&model.tuning) {
        most.counted = most.counted.max(seen.max_in_flight / seen.latency);
    }
    most
}

/// The latency of a window of the startup.
///
/// The first calls to end are the shortest. By Little's law, what is in flight shows the others. (A
/// call that ends is in flight itself, which matters when it is the only one.)
pub(in crate::control) fn latency(seen: &Observation) -> f64 {
    seen.latency.max((seen.in_flight - 1.0) / seen.counted)
}

/// A window under the same limit. The one before may show idle time, and calls from before the load:
/// a limit that grows by them can be far too high.
pub(in crate::control) fn look(seen: &Observation, at: &Context<'_>) -> Step {
    Step::new(
        Phase::Look,
        at.limit,
        window(seen.latency, at.limit, at),
        LimitReason::Steady,
    )
}

/// The capacity had been tried: tracking continues. If enough calls were measured without queueing,
/// they replace the first probe, and the next one is due after its usual pause.
pub(in crate::control) fn tried(seen: &Observation, rested: bool, at: &Context<'_>) -> Step {
    let tuning = &at.model.tuning;
    let budget = tuning.probe_cost * at.model.urgency();
    let pause = seconds(at.model.tail().as_secs_f64() * (1.0 - tuning.probe_depth) / budget);
    Step {
        next_probe: rested.then(|| seen.now + pause),
        ..track::steer(at, None)
    }
}

/// The window in which load follows idle time on a service that was never under load.
pub(in crate::control) fn first_window(at: &Context<'_>) -> WindowSize {
    window(at.model.no_load, at.limit, at)
}

/// A window of the startup: a little over one generation of calls.
fn window(latency: f64, limit: f64, at: &Context<'_>) -> WindowSize {
    let tuning = &at.model.tuning;
    WindowSize {
        time: seconds(latency.max(tuning.shortest_window)),
        samples: (tuning.startup_generations * limit).max(tuning.startup_calls) as u32,
    }
}

/// The greatest factor by which the limit may grow. If the service can do no more than under this
/// limit, calls under the next one are longer by that factor, and must still be in time. Where no
/// deadline is known, the factor is `usual`.
fn most_growth(seen: &Observation, usual: f64, at: &Context<'_>) -> f64 {
    let Some(left) = at.model.deadline_left else {
        return usual;
    };
    // Calls that have just begun to wait did not end in this window, so their latency is too short;
    // and as they count for nothing, Little's law gives one that is too long. Between the two, nearer
    // to the first.
    let held = at.limit / seen.counted;
    let longer = (seen.latency * held).sqrt();
    let latency = (seen.latency * longer).sqrt();
    let inside = at.model.inside();
    (inside * left / latency).clamp(1.0, 2.0 * at.model.tuning.growth)
}

/// Grows by `factor`, or ends the startup. `before` is the throughput of the step before.
pub(in crate::control) fn step(
    seen: &Observation,
    before: f64,
    factor: f64,
    at: &Context<'_>,
) -> Step {
    let tuning = &at.model.tuning;
    let phase = Phase::Startup {
        before: seen.counted,
        factor,
    };
    if before <= 0.0 && seen.late > tuning.noticeable {
        // The first window after a time without answers holds calls from that time.
        let window = WindowSize {
            time: seconds(tuning.shortest_window),
            samples: tuning.startup_calls as u32,
        };
        return Step::new(phase, at.limit, window, LimitReason::Steady);
    }
    // The window is too short to see the longest calls; by Little's law they are in flight.
    let held = seen.in_flight / seen.counted;
    let fast = is_fast(seen, at.model) && held < tuning.most_move * at.model.no_load;
    if fast && seen.counted > (1.0 + tuning.changed) * before {
        let factor = most_growth(seen, factor, at);
        let limit = at.within(at.limit * factor, 1.0, f64::INFINITY);
        let window = window(seen.latency, limit, at);
        return Step::new(phase, limit, window, LimitReason::Growth);
    }
    if at.model.stated_no_load.is_some() {
        return track::steer(at, None);
    }
    probe::first(seen.now, at)
}

/// Whether the latency is not much longer than the no-load latency, but for chance.
fn is_fast(seen: &Observation, model: &Model) -> bool {
    let pays = model.tuning.pays;
    // Both have an error.
    let chance = seen
        .error(seen.variation)
        .hypot(pays * model.error * model.no_load);
    seen.latency < pays * model.no_load + model.tuning.likely * chance
}
