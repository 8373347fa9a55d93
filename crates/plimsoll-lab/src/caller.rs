//! Callers: requests that arrive whether or not the last ones were answered, and what becomes of each.

use std::{sync::Arc, time::Duration};

use fastrand::Rng;
use http::Request;
use plimsoll_core::{Criticality, Deadline, Priority};
use tokio::time::Instant;
use tower::ServiceExt;

use crate::{
    backend::{Job, Req, Res},
    contender::{Refused, Stack},
    law::{Law, exponential},
    measure::{self, End},
    scenario::{Arrivals, Caller},
    world::{self, Nanos, SECOND},
};

/// All that a kind of callers needs to know.
pub(crate) struct Plan {
    pub(crate) caller: Caller,
    /// Its place in the ledger.
    pub(crate) index: usize,
    /// Tasks in a second, at load 1.
    pub(crate) rate: f64,
    /// Mean work of a request, in nanoseconds.
    pub(crate) mean: f64,
    pub(crate) law: Law,
    /// How long an answer is of use.
    pub(crate) deadline: Nanos,
    pub(crate) arrivals: Arrivals,
    /// Load from given nanoseconds on.
    pub(crate) loads: Arc<Vec<(Nanos, f64)>>,
    pub(crate) end: Nanos,
}

/// The caller's name on its requests, for policies that share between callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key(pub(crate) u32);

/// Lets requests arrive until the end.
pub(crate) async fn arrive(plan: Plan, stack: Stack, seed: u64) {
    let mut rng = Rng::with_seed(seed);
    let criticality: Criticality = plan.caller.criticality.parse().unwrap_or_default();
    let plan = Arc::new(plan);
    let mut at = 0.0;
    loop {
        let load = {
            let step = plan.loads.partition_point(|(from, _)| *from as f64 <= at);
            plan.loads[step.max(1) - 1].1
        };
        let burst = match plan.arrivals {
            Arrivals::Bursts(size) => size.max(1),
            Arrivals::Poisson | Arrivals::Trace => 1,
        };
        let next =
            at + exponential(&mut rng) * burst as f64 * SECOND / (plan.rate * load.max(1e-9));
        // Nothing is known of the time after the next step, and an exponential has no memory.
        let step = plan
            .loads
            .iter()
            .map(|(from, _)| *from as f64)
            .find(|from| *from > at);
        if let Some(step) = step
            && next > step
        {
            at = step;
            continue;
        }
        at = next;
        if at >= plan.end as f64 {
            return;
        }
        world::sleep_until(at as Nanos).await;
        for _ in 0..burst {
            let key = plan.index as u32 * 1_000_000 + rng.u32(..plan.caller.keys.max(1) as u32);
            let task = Task {
                plan: Arc::clone(&plan),
                priority: Priority::new(criticality).cohort_of(rng.u64(..).to_le_bytes(), 0),
                key: Key(key),
                begun: world::now(),
                rng: Rng::with_seed(rng.u64(..)),
            };
            tokio::spawn(task.run(stack.clone()));
        }
    }
}

struct Task {
    plan: Arc<Plan>,
    priority: Priority,
    key: Key,
    begun: Nanos,
    rng: Rng,
}

impl Task {
    async fn run(mut self, mut stack: Stack) {
        let mut end = End::InTime;
        for _ in 0..self.plan.caller.calls {
            end = self.call(&mut stack).await;
            if end != End::InTime {
                break;
            }
        }
        measure::enter(self.plan.index, self.key, self.begun, world::now(), end);
    }

    /// One call, with its retries.
    async fn call(&mut self, stack: &mut Stack) -> End {
        let plan = Arc::clone(&self.plan);
        let caller = &plan.caller;
        let work = plan.law.draw(&mut self.rng) * plan.mean * caller.work;
        let end = self.begun + plan.deadline;
        let mut backoff = caller.backoff_seconds;
        for attempt in 1.. {
            let ended = match caller.timeout_seconds {
                None => answered(stack.clone().oneshot(self.request(work, end)).await),
                Some(timeout) => {
                    let timeout = world::now() + (timeout * SECOND) as Nanos;
                    // The server is not told when the caller stops waiting, and goes on.
                    let call = stack.clone().oneshot(self.request(work, timeout));
                    tokio::select! {
                        biased;
                        answer = tokio::spawn(call) => answer.map_or(End::Refused, answered),
                        () = world::sleep_until(timeout) => End::Late,
                    }
                }
            };
            if ended == End::InTime {
                let in_time = world::now() <= end;
                return if in_time { End::InTime } else { End::Late };
            }
            if attempt >= caller.attempts {
                return ended;
            }
            let pause = self.rng.f64() * backoff * SECOND;
            backoff *= 2.0;
            world::sleep_until(world::now() + pause as Nanos).await;
        }
        End::Refused
    }

    fn request(&self, work: f64, until: Nanos) -> Req {
        let mut req = Request::new(Job { work });
        let left = Duration::from_nanos(until.saturating_sub(world::now()));
        let extensions = req.extensions_mut();
        extensions.insert(self.priority);
        extensions.insert(self.key);
        if let Some(deadline) = Deadline::after(Instant::now(), left) {
            extensions.insert(deadline);
        }
        req
    }
}

fn answered(answer: Result<Res, Refused>) -> End {
    match answer {
        Ok(res) if res.status().is_success() => End::InTime,
        _ => End::Refused,
    }
}
