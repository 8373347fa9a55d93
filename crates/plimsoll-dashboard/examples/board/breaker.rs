//! The figures of a circuit breaker, for `Metrics::watch`.

use std::{fmt, sync::Arc};

use plimsoll_circuit_breaker::{CircuitBreakerHandle, State};
use plimsoll_core::figures::{Change, Figure, Figures};
use tokio::time::Instant;

const STATES: [State; 7] = [
    State::Closed,
    State::ForcedClosed,
    State::Disabled,
    State::Open,
    State::ForcedOpen,
    State::HalfOpen,
    State::Recovering,
];
const NAMES: &[&str] = &[
    "closed",
    "forced-closed",
    "disabled",
    "open",
    "forced-open",
    "half-open",
    "recovering",
];

static STATE: Figure = Figure::state("state", NAMES, "State of the circuit");
static PROBE_IN: Figure = Figure::gauge("probe_in", "Time to the next probe").in_unit("seconds");
static FAILURE_RATE: Figure = Figure::gauge("failure_rate", "Share of recent calls that failed");

/// A handle with its figures.
pub(crate) struct Breaker(pub(crate) CircuitBreakerHandle);

fn index(state: State) -> f64 {
    let at = STATES.iter().position(|of| *of == state);
    at.map_or(f64::NAN, |at| at as f64)
}

impl Figures for Breaker {
    fn policy(&self) -> &'static str {
        "circuit-breaker"
    }

    fn read(&self, each: &mut dyn FnMut(&'static Figure, f64)) {
        each(&STATE, index(self.0.state()));
        let probe = self.0.retry_after(Instant::now());
        each(&PROBE_IN, probe.map_or(f64::NAN, |wait| wait.as_secs_f64()));
        each(&FAILURE_RATE, self.0.failure_rate().unwrap_or(f64::NAN));
    }

    fn settings(&self, each: &mut dyn FnMut(&'static str, &dyn fmt::Display)) {
        each("window", &format!("{:?}", self.0.window()));
        each(
            "longest age of an outcome",
            &format!("{:?}", self.0.max_age()),
        );
    }

    fn on_change(&self, callback: Arc<dyn Fn(&Change) + Send + Sync>) {
        self.0.on_transition(move |transition| {
            let (from, to) = (index(transition.from), index(transition.to));
            callback(&Change::new(&STATE, from, to, transition.reason.as_str()));
        });
    }
}
