//! One run: a point and a contender.

use std::sync::Arc;

use crate::{
    arrival::Gaps,
    backend::Backend,
    caller::{self, Plan},
    contender::{Contender, Hints},
    measure::{self, BIN, Ledger},
    point::Point,
    scenario::Caller,
    schedule::Schedule,
    world::{self, Nanos, SECOND},
};

/// Runs a point, and returns its ledger. The same seed gives exactly the same run.
pub(crate) fn run(point: &Point<'_>, contender: &Contender, multiple: f64, seed: u64) -> Ledger {
    let end = point.seconds * SECOND;
    let kinds: Vec<_> = point
        .callers
        .iter()
        .map(|caller| (caller.keys.max(1), caller.task()))
        .collect();
    measure::open(
        point.warm_up,
        point.seconds,
        point.deadline,
        &kinds,
        point.oracle(),
    );
    fastrand::seed(seed);
    world::run(async {
        let hints = Hints {
            slots: point.server.slots(),
            deadline: point.deadline,
            tuning: multiple,
        };
        let backend = Backend::build(point.server, &point.steps);
        let (stack, limit) = (contender.build)(backend, hints);
        let weights: f64 = point.callers.iter().map(|caller| caller.weight).sum();
        for (kind, caller) in point.callers.iter().enumerate() {
            let plan = Plan {
                kind,
                rate: point.server.capacity() / point.cost() * caller.weight / weights,
                caller: caller.clone(),
                mean: point.server.mean_ms * 1e6,
                speed: Schedule::new(point.steps.iter().filter_map(|s| Some((s.at, s.speed?)))),
                share: point.server.share(),
                goes_on: point.server.goes_on,
                law: point.server.law,
                deadline: (point.deadline * SECOND) as Nanos,
                told: point.scenario.told,
                gaps: Gaps::new(&point.scenario.arrivals),
                loads: Arc::new(loads(point, caller)),
                end,
            };
            let seed = seed.wrapping_mul(1_000_003).wrapping_add(kind as u64);
            tokio::spawn(caller::arrive(plan, stack.clone(), seed));
        }
        let mut at = 0.0;
        while at < end {
            if let Some(limit) = &limit {
                measure::limit(limit());
            }
            at += BIN;
            world::sleep_until(at.min(end) as Nanos).await;
        }
    });
    measure::close()
}

/// The load over time, in nanoseconds, of one kind of callers.
fn loads(point: &Point<'_>, caller: &Caller) -> Vec<(f64, f64)> {
    let all = |second: f64| {
        let mut latest_first = point.stretches.iter().rev();
        let last = latest_first.find(|stretch| stretch.from <= second);
        last.map_or(0.0, |stretch| stretch.load * point.load)
    };
    let from = point.stretches.iter().map(|stretch| stretch.from);
    let mut times: Vec<f64> = from
        .chain(caller.changes.iter().map(|(at, _)| *at))
        .collect();
    times.sort_by(f64::total_cmp);
    let load = |at: f64| (at * SECOND, all(at) * caller.asks_at(at));
    times.into_iter().map(load).collect()
}
