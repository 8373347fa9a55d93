//! One run: a server, its callers and a contender, from beginning to end.

use std::sync::Arc;

use crate::{
    backend::Backend,
    caller::{self, Plan},
    contender::{Contender, Hints},
    measure::{self, BIN, Ledger},
    scenario::{Caller, Scenario, Server},
    world::{self, Nanos, SECOND},
};

/// What to run.
#[derive(Clone, Copy)]
pub(crate) struct Point<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) server: &'a Server,
    pub(crate) load: f64,
}

impl Point<'_> {
    /// Its name in tables.
    pub(crate) fn name(&self) -> String {
        format!("{}, {}x", self.server.name(), self.load)
    }

    /// Seconds in all.
    pub(crate) fn seconds(&self) -> f64 {
        let scenario = self.scenario;
        let for_requests = scenario.requests / self.server.capacity();
        scenario
            .seconds
            .max(for_requests)
            .min(scenario.at_most_seconds)
    }

    /// Seconds that are not counted.
    pub(crate) fn warm_up(&self) -> f64 {
        self.seconds() * self.scenario.warm_up
    }

    /// How long an answer is of use, in seconds.
    pub(crate) fn deadline(&self) -> f64 {
        let mean = self.server.mean_ms / 1e3;
        self.scenario
            .deadline_seconds
            .unwrap_or(self.scenario.deadline * mean)
    }

    fn callers(&self) -> Vec<Caller> {
        match self.scenario.caller.as_slice() {
            [] => vec![Caller::default()],
            callers => callers.to_vec(),
        }
    }
}

/// Runs it, and tells what happened.
pub(crate) fn run(point: Point<'_>, contender: &Contender, tuning: f64, seed: u64) -> Ledger {
    let end = point.seconds() * SECOND;
    let callers = point.callers();
    measure::open(
        (point.warm_up() * SECOND) as Nanos,
        end as Nanos,
        callers.len(),
    );
    fastrand::seed(seed);
    world::run(async {
        let hints = Hints {
            slots: point.server.slots(),
            deadline: point.deadline(),
            tuning,
        };
        let backend = Backend::build(point.server, &point.scenario.step);
        let (stack, limit) = (contender.build)(backend, hints);
        let mut loads = vec![(0, point.load)];
        let steps = point.scenario.step.iter();
        loads.extend(
            steps.filter_map(|step| Some(((step.at * SECOND) as Nanos, step.load? * point.load))),
        );
        let loads = Arc::new(loads);
        // What a task costs the server, on average: so that load 1 is what it can just do.
        let weights: f64 = callers.iter().map(|caller| caller.weight).sum();
        let cost: f64 = callers
            .iter()
            .map(|c| c.weight / weights * c.work * f64::from(c.calls))
            .sum();
        for (index, caller) in callers.into_iter().enumerate() {
            let plan = Plan {
                index,
                rate: point.server.capacity() / cost * caller.weight / weights,
                caller,
                mean: point.server.mean_ms * 1e6,
                law: point.server.law,
                deadline: (point.deadline() * SECOND) as Nanos,
                arrivals: point.scenario.arrivals,
                loads: Arc::clone(&loads),
                end: end as Nanos,
            };
            tokio::spawn(caller::arrive(
                plan,
                stack.clone(),
                seed.wrapping_add(index as u64),
            ));
        }
        let mut at = 0.0;
        while at < end {
            if let Some(limit) = &limit {
                measure::enter_limit(limit());
            }
            at += BIN;
            world::sleep_until(at.min(end) as Nanos).await;
        }
    });
    measure::close()
}
