//! Callers: open-loop arrivals, and the results of their tasks.

use std::{
    future::{Future, poll_fn},
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use fastrand::Rng;
use http::{Request, StatusCode};
use plimsoll_core::{Criticality, Deadline, Priority};
use tokio::time::Instant;
use tower::ServiceExt;

use crate::{
    arrival::Gaps,
    backend::{Job, Req, Res, Served},
    contender::{Refused, Stack},
    fits::Alone,
    law::{Law, exponential},
    measure::{self, End, Whose},
    scenario::Caller,
    schedule::Schedule,
    world::{self, Nanos, SECOND},
};

/// The parameters of one kind of callers.
pub(crate) struct Plan {
    pub(crate) caller: Caller,
    /// Its index in the ledger.
    pub(crate) kind: usize,
    /// Tasks per second at load 1.
    pub(crate) rate: f64,
    /// Mean work of a request, in nanoseconds.
    pub(crate) mean: f64,
    pub(crate) law: Law,
    /// The speed of the server.
    pub(crate) speed: Schedule,
    /// The work of a request at all stations, as a share of its work.
    pub(crate) share: f64,
    /// Whether the server continues with a request whose call is dropped.
    pub(crate) goes_on: bool,
    /// How long an answer is of use.
    pub(crate) deadline: Nanos,
    /// Whether requests carry the deadline.
    pub(crate) told: bool,
    pub(crate) gaps: Gaps,
    /// Load from given nanoseconds on.
    pub(crate) loads: Arc<Vec<(f64, f64)>>,
    pub(crate) end: f64,
}

/// The key of a caller on its requests, for policies that share capacity between callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key(pub(crate) u32);

/// Key numbers reserved per kind of callers.
const OF_A_KIND: u32 = 1_000_000;

impl Key {
    /// The kind of the caller.
    pub(crate) fn kind(self) -> u32 {
        self.0 / OF_A_KIND
    }
}

impl Plan {
    /// A request with this work, as it would be on an idle server now.
    fn alone(&self, work: f64) -> Alone {
        let caller = &self.caller;
        let now = world::now();
        let timeout = caller.timeout_seconds.filter(|_| caller.hangs_up);
        let of_use = timeout.map_or(f64::INFINITY, |seconds| seconds * SECOND);
        let done = self.speed.done_at(now, work * self.share);
        let one_call = caller.calls == 1 && caller.attempts == 1;
        Alone {
            work,
            // Of several calls, it is not known which were in time.
            takes: if one_call {
                done.saturating_sub(now) as f64
            } else {
                0.0
            },
            of_use: of_use.min(self.deadline as f64),
            stops: timeout.is_some() && !self.goes_on,
        }
    }
}

/// Starts tasks until the end.
pub(crate) async fn arrive(mut plan: Plan, stack: Stack, seed: u64) {
    let mut rng = Rng::with_seed(seed);
    let mut gaps = mem::replace(&mut plan.gaps, Gaps::Poisson);
    let plan = Arc::new(plan);
    let criticality: Criticality = plan.caller.criticality.parse().unwrap_or_default();
    let callers = plan.caller.keys.max(1);
    let mut at = 0.0;
    loop {
        let after = plan.loads.partition_point(|(from, _)| *from <= at);
        let load = plan.loads[after.max(1) - 1].1;
        let (gap, count) = gaps.next(&mut rng);
        let next = at + gap * SECOND / (plan.rate * load.max(1e-9));
        // The load changes before the next arrival: draw again from there, since the process has no
        // memory.
        if let Some((step, _)) = plan.loads.get(after)
            && next > *step
            && gaps.forgets()
        {
            at = *step;
            continue;
        }
        at = next;
        if at >= plan.end {
            return;
        }
        world::sleep_until(at as Nanos).await;
        for _ in 0..count {
            let whose = Whose {
                kind: plan.kind,
                caller: rng.usize(..callers),
            };
            measure::begin(whose, world::now());
            let task = Task {
                plan: Arc::clone(&plan),
                priority: Priority::new(criticality).cohort_of(rng.u64(..).to_le_bytes(), 0),
                whose,
                begun: world::now(),
                rng: Rng::with_seed(rng.u64(..)),
            };
            // Performance: under overload most tasks are rejected at once, and need no runtime
            // task.
            let mut future = Box::pin(task.run(stack.clone()));
            let ended = poll_fn(|cx| {
                // A panic of a contender ends the task, as in a spawned task.
                let poll = AssertUnwindSafe(|| future.as_mut().poll(cx).is_ready());
                Poll::Ready(catch_unwind(poll).unwrap_or(true))
            })
            .await;
            if !ended {
                tokio::spawn(future);
            }
        }
    }
}

struct Task {
    plan: Arc<Plan>,
    priority: Priority,
    whose: Whose,
    begun: Nanos,
    rng: Rng,
}

impl Task {
    async fn run(mut self, mut stack: Stack) {
        let mut end = End::InTime;
        for call in 0..self.plan.caller.calls {
            if call > 0 {
                let pause = exponential(&mut self.rng) * self.plan.caller.pause_seconds;
                world::sleep_until(world::now() + (pause * SECOND) as Nanos).await;
            }
            end = self.call(&mut stack).await;
            if end != End::InTime {
                break;
            }
        }
        measure::end(self.whose, self.begun, world::now(), end);
    }

    /// One call, with its retries.
    async fn call(&mut self, stack: &mut Stack) -> End {
        let plan = Arc::clone(&self.plan);
        let caller = &plan.caller;
        let drawn = plan.law.draw(&mut self.rng);
        let job = Job {
            work: drawn * plan.mean * caller.work,
            drawn,
            status: self.status(),
        };
        measure::come(self.whose, world::now(), &plan.alone(job.work));
        let end = self.begun + plan.deadline;
        let mut backoff = caller.backoff_seconds;
        for attempt in 1.. {
            let ended = match caller.timeout_seconds {
                None => answered(stack.clone().oneshot(self.request(job, end)).await),
                Some(timeout) => {
                    let timeout = world::now() + (timeout * SECOND) as Nanos;
                    let call = stack.clone().oneshot(self.request(job, timeout));
                    let lost = world::sleep_until(timeout);
                    if caller.hangs_up {
                        tokio::select! {
                            biased;
                            answer = call => answered(answer),
                            () = lost => End::Late,
                        }
                    } else {
                        // The caller stops waiting, and the call continues.
                        tokio::select! {
                            biased;
                            answer = tokio::spawn(call) => answer.map_or(End::Refused, answered),
                            () = lost => End::Late,
                        }
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

    fn status(&mut self) -> StatusCode {
        let caller = &self.plan.caller;
        let (not_found, fails) = (caller.not_found, caller.not_found + caller.fails);
        if fails == 0.0 {
            return StatusCode::OK; // without a draw
        }
        match self.rng.f64() {
            drawn if drawn < not_found => StatusCode::NOT_FOUND,
            drawn if drawn < fails => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::OK,
        }
    }

    fn request(&self, job: Job, until: Nanos) -> Req {
        let mut req = Request::new(job);
        let left = Duration::from_nanos(until.saturating_sub(world::now()));
        let extensions = req.extensions_mut();
        extensions.insert(self.priority);
        let Whose { kind, caller } = self.whose;
        extensions.insert(Key(kind as u32 * OF_A_KIND + caller as u32));
        let told = self
            .plan
            .told
            .then(|| Deadline::after(Instant::now(), left));
        if let Some(deadline) = told.flatten() {
            extensions.insert(deadline);
        }
        req
    }
}

fn answered(answer: Result<Res, Refused>) -> End {
    match answer {
        Ok(res) if res.extensions().get::<Served>().is_some() => End::InTime,
        _ => End::Refused,
    }
}
