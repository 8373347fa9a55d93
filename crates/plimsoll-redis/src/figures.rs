//! The figures of a shared limit, for metrics and dashboards.

use std::fmt;

use plimsoll_circuit_breaker::State;
use plimsoll_core::figures::{self, Figure, Figures};

use crate::{NAME, OnFailure, RedisHandle};

/// What decides now, and the counters of decisions and failures. The connections to Redis stay open
/// while the handle is watched.
impl Figures for RedisHandle {
    fn policy(&self) -> &'static str {
        NAME
    }

    fn read(&self, each: &mut dyn FnMut(&'static Figure, f64)) {
        each(&STATE, self.state());
        each(&CONNECTED, self.connected() as f64);
        let rejected = self.rejected() + self.rejected_by_lease() + self.over_size();
        each(&figures::REJECTED, rejected as f64);
        each(&figures::MISSING_KEYS, self.missing() as f64);
        let counts = [
            self.admitted(),
            self.leased(),
            self.local(),
            self.opened(),
            self.closed(),
        ];
        for (figure, count) in DECIDED.iter().zip(counts) {
            each(figure, count as f64);
        }
        let counts = [
            self.timeouts(),
            self.errors(),
            self.nonsense(),
            self.unreachable(),
            self.queue_full(),
            self.broken(),
        ];
        for (figure, count) in FAILED.iter().zip(counts) {
            each(figure, count as f64);
        }
    }

    fn settings(&self, each: &mut dyn FnMut(&'static str, &dyn fmt::Display)) {
        each("without Redis", &STATES[fallback(self.0.on_failure)]);
        each("deadline", &format_args!("{:?}", self.0.deadline));
        for quota in &self.0.quotas {
            each("quota", &quota.quota);
        }
    }
}

impl RedisHandle {
    /// The position in [`STATES`]: the fallback while no connection is up, or the breaker is open.
    fn state(&self) -> f64 {
        let open = matches!(self.breaker().state(), State::Open | State::ForcedOpen);
        if open || self.connected() == 0 {
            fallback(self.0.on_failure) as f64
        } else {
            0.0
        }
    }
}

const fn fallback(on_failure: OnFailure) -> usize {
    match on_failure {
        OnFailure::Local => 1,
        OnFailure::Open => 2,
        OnFailure::Closed => 3,
    }
}

const STATES: [&str; 4] = ["shared", "local", "admits all", "rejects all"];
static STATE: Figure = Figure::state("state", &STATES, "What decides: Redis, or the fallback");
static CONNECTED: Figure = Figure::gauge("connected", "Connections to Redis that are up");
static DECIDED: [Figure; 5] = [
    decided("redis"),
    decided("lease"),
    decided("local"),
    decided("admits all"),
    decided("rejects all"),
];
static FAILED: [Figure; 6] = [
    failed("timeout"),
    failed("error"),
    failed("nonsense"),
    failed("unreachable"),
    failed("queue full"),
    failed("breaker open"),
];

const fn decided(by: &'static str) -> Figure {
    Figure::counter(
        "decided",
        "Requests by what decided on them; of Redis and leases those admitted",
    )
    .with_label("by", by)
}

const fn failed(why: &'static str) -> Figure {
    Figure::counter(
        "redis_failures",
        "Questions to Redis without a usable answer",
    )
    .with_label("why", why)
}
