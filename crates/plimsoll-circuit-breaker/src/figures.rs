//! The figures of a breaker, for metrics and dashboards.

use std::{fmt, sync::Arc, time::Duration};

use plimsoll_core::figures::{self, Change, Figure, Figures};
use tokio::time::Instant;

use crate::{CircuitBreakerHandle, NAME, OpenKey, State, Transition, TransitionReason};

/// Most keys that are listed for the figures. `open_keys` is at most this; a reading with all of
/// them open takes some tens of microseconds.
/// `the_figures_of_a_breaker_per_key_are_those_of_its_worst_key` fails when it is below 2.
const MAX_LISTED: usize = 1024;

/// Of a breaker per key, the state is that of its worst key, and the time is that to the first
/// probe. The reading visits each breaker that has ever opened, and reads the clock.
impl Figures for CircuitBreakerHandle {
    fn policy(&self) -> &'static str {
        NAME
    }

    fn read(&self, each: &mut dyn FnMut(&'static Figure, f64)) {
        let listed = self.open_keys(MAX_LISTED, Instant::now());
        let worst = listed
            .iter()
            .map(|one| one.state)
            .max_by_key(|state| rank(*state));
        each(&STATE, position(worst.unwrap_or(State::Closed)));
        let probe_in = listed.iter().filter_map(probe_in).min();
        each(
            &figures::PROBE_IN,
            probe_in.map_or(f64::NAN, |time| time.as_secs_f64()),
        );
        each(
            &figures::OPEN_KEYS,
            listed.iter().filter(|one| rejects(one.state)).count() as f64,
        );
        each(
            &figures::FAILURE_RATE,
            self.failure_rate().unwrap_or(f64::NAN),
        );
        each(&SLOW_RATE, self.slow_call_rate().unwrap_or(f64::NAN));
        each(&figures::TRANSITIONS, self.transitioned() as f64);
        each(&OPENED, self.opened() as f64);
        each(&figures::REJECTED, self.rejected() as f64);
        each(&PROBES, self.probes() as f64);
    }

    fn settings(&self, each: &mut dyn FnMut(&'static str, &dyn fmt::Display)) {
        each("opens at a failure rate of", &self.threshold());
        match self.slow_call() {
            Some(time) => {
                each("slow calls take", &format_args!("{time:?}"));
                each("opens at a slow-call rate of", &self.slow_rate());
            }
            None => each("slow calls take", &"off"),
        }
        each("window", &format_args!("{:?}", self.window()));
        each("calls at least", &self.min_calls());
        each("open for", &format_args!("{:?}", self.open_for()));
        each("probes at a time", &self.probes_at_a_time());
        each("observes only", &self.observe_only());
    }

    fn on_change(&self, callback: Arc<dyn Fn(&Change) + Send + Sync>) {
        self.on_transition(move |of| callback(&change(of)));
    }
}

/// The position of a state in its list.
fn position(state: State) -> f64 {
    f64::from(state as u8)
}

fn change(of: &Transition) -> Change {
    let (from, to) = (position(of.from), position(of.to));
    let mut change = Change::new(&STATE, from, to, of.reason.as_str());
    if let Some(key) = &of.key {
        change = change.of_key(&**key);
    }
    match of.reason {
        TransitionReason::Set | TransitionReason::Tripped => change.by_hand(),
        _ => change,
    }
}

/// Only an open breaker waits for a time; a half-open one waits for its probes.
fn probe_in(one: &OpenKey) -> Option<Duration> {
    one.retry_after.filter(|_| one.state == State::Open)
}

const fn rejects(state: State) -> bool {
    matches!(state, State::Open | State::ForcedOpen | State::HalfOpen)
}

/// The order of states in a sum over keys: what rejects most is last.
const fn rank(state: State) -> u8 {
    match state {
        State::Closed => 0,
        State::ForcedClosed => 1,
        State::Disabled => 2,
        State::Recovering => 3,
        State::HalfOpen => 4,
        State::Open => 5,
        State::ForcedOpen => 6,
    }
}

static STATE: Figure = Figure::state("state", &State::NAMES, "State of the breaker");
static SLOW_RATE: Figure = Figure::gauge("slow_rate", "Share of slow calls");
static OPENED: Figure = Figure::counter("opened", "Openings, forced ones not included");
static PROBES: Figure = Figure::counter("probes", "Probes that were admitted");
