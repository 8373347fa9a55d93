//! A point of a scenario: one server, one load.

use crate::{
    measure::BIN_SECONDS,
    oracle::Oracle,
    scenario::{Caller, Scenario, Server, Station, Step},
    timeline::{self, Stretch},
    world::SECOND,
};

/// The parameters of a run, computed from the scenario.
pub(crate) struct Point<'a> {
    /// Its name in tables.
    pub(crate) name: String,
    pub(crate) scenario: &'a Scenario,
    pub(crate) server: &'a Server,
    pub(crate) load: f64,
    pub(crate) callers: Vec<Caller>,
    /// Length of the run, in seconds.
    pub(crate) seconds: f64,
    /// Length of the part at the beginning that is not counted.
    pub(crate) warm_up: f64,
    /// How long an answer is of use, in seconds.
    pub(crate) deadline: f64,
    pub(crate) steps: Vec<Step>,
    pub(crate) stretches: Vec<Stretch>,
}

/// The points of a scenario, with fewer requests each in the short form.
pub(crate) fn points(scenario: &Scenario, quick: bool) -> Vec<Point<'_>> {
    let everybody = match scenario.caller.as_slice() {
        [] => vec![Caller::default()],
        callers => callers.to_vec(),
    };
    let groups: Vec<(String, Vec<Caller>)> = if scenario.each_caller_alone {
        let alone = |caller: Caller| (format!(", {}", caller.name), vec![caller]);
        everybody.into_iter().map(alone).collect()
    } else {
        vec![(String::new(), everybody)]
    };
    let mut points = Vec::new();
    for server in &scenario.server {
        for (group, callers) in &groups {
            for &load in &scenario.load {
                let mean = server.mean_ms / 1e3;
                let long = Scenario {
                    requests: scenario.requests * if quick { 0.25 } else { 1.0 },
                    ..scenario.clone()
                };
                let seconds = whole_bins(long.seconds_on(server));
                let steps = timeline::steps(scenario, seconds);
                points.push(Point {
                    name: format!("{}{group}, {load}x", server.name()),
                    scenario,
                    server,
                    load,
                    callers: callers.clone(),
                    seconds,
                    warm_up: whole_bins(seconds * scenario.warm_up),
                    deadline: scenario
                        .deadline_seconds
                        .unwrap_or(scenario.deadline * mean),
                    stretches: timeline::stretches(&steps, seconds),
                    steps,
                });
            }
        }
    }
    points
}

/// Rounds to whole bins of the ledger.
fn whole_bins(seconds: f64) -> f64 {
    (seconds / BIN_SECONDS).round().max(1.0) * BIN_SECONDS
}

impl Point<'_> {
    /// Tasks that arrive, as a measure of the time to simulate.
    pub(crate) fn arrivals(&self) -> f64 {
        let load = |stretch: &Stretch| (stretch.until - stretch.from) * stretch.load;
        let full = self.stretches.iter().map(load).sum::<f64>();
        full * self.load * self.server.capacity()
    }

    /// The oracle of the point: only where requests need one worker each, all have the same value,
    /// and the load never exceeds the capacity. (Above it, the oracle would choose short requests,
    /// and do more than the capacity.)
    pub(crate) fn oracle(&self) -> Option<Oracle> {
        let [Station::Workers { count, share, .. }] = *self.server.stations else {
            return None;
        };
        let stays = |s: &Step| s.speed.is_none() && s.workers.is_none();
        let bearable = |s: &Stretch| s.load * self.load <= 1.0;
        let first = self.callers[0].work;
        let alike = |c: &Caller| c.calls == 1 && c.work.total_cmp(&first).is_eq();
        let known = share >= 1.0
            && self.steps.iter().all(stays)
            && self.stretches.iter().all(bearable)
            && self.callers.iter().all(alike);
        known.then(|| Oracle::new(count, self.deadline * SECOND))
    }

    /// The mean work of a task, in multiples of the server's mean.
    pub(crate) fn cost(&self) -> f64 {
        let weights: f64 = self.callers.iter().map(|caller| caller.weight).sum();
        let cost = |caller: &Caller| caller.weight / weights * caller.task();
        self.callers.iter().map(cost).sum()
    }
}
