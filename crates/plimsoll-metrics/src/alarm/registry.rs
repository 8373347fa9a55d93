//! The alarms of a registry, and the state of each for each gate and policy.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use plimsoll_core::{
    alarm::{Change as Crossed, Machine},
    figures::{self, Change},
};
use tokio::time::Instant;

use super::{
    measure::{Measure, Measured},
    rule::{Alarm, AlarmChange},
    share::Share,
};
use crate::{
    AlarmSnapshot, GateCounts, InvalidMetric, PolicySnapshot, events::EventLog, pulled::attempt,
};

/// Bound of alarms: each is a series for each gate and policy that it is about.
/// `law_07_a_registry_has_at_most_32_alarms` fails when it differs.
const MAX_ALARMS: usize = 32;

/// What a step of the watcher has read.
#[derive(Debug, Default)]
pub(crate) struct Readings {
    pub(crate) gates: Vec<(String, GateCounts)>,
    /// Policies by gate, and parts by name.
    pub(crate) policies: Vec<(String, PolicySnapshot)>,
}

#[derive(Default)]
pub(crate) struct Alarms(RwLock<Arc<Vec<Arc<Registered>>>>);

struct Registered {
    alarm: Alarm,
    /// By gate and policy. As many as there are watched policies at most.
    states: Mutex<BTreeMap<(String, String), State>>,
}

#[derive(Debug, Default)]
struct State {
    machine: Machine,
    share: Share,
    value: f64,
    /// Whether the last step has measured it.
    is_there: bool,
}

impl Alarms {
    pub(crate) fn add(&self, alarm: Alarm) -> Result<(), InvalidMetric> {
        alarm.check()?;
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if all.iter().any(|known| known.alarm.name == alarm.name) {
            return Err(InvalidMetric::Duplicate { name: alarm.name });
        }
        if all.len() >= MAX_ALARMS {
            let (what, max) = ("alarms", MAX_ALARMS);
            return Err(InvalidMetric::Full { what, max });
        }
        let states = Mutex::default();
        Arc::make_mut(&mut all).push(Arc::new(Registered { alarm, states }));
        Ok(())
    }

    pub(crate) fn evaluate(&self, readings: &Readings, log: &EventLog, now: Instant) {
        for one in self.all().iter() {
            one.evaluate(readings, log, now);
        }
    }

    /// The state of all alarms, as of the last step.
    pub(crate) fn snapshot(&self) -> Vec<AlarmSnapshot> {
        self.all().iter().flat_map(|one| one.snapshot()).collect()
    }

    fn all(&self) -> Arc<Vec<Arc<Registered>>> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Registered {
    fn evaluate(&self, readings: &Readings, log: &EventLog, now: Instant) {
        // Signals are code of the caller: before the lock.
        let measured = self.measure(readings);
        let mut changes = Vec::new();
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        for state in states.values_mut() {
            state.is_there = false;
        }
        for (of, measured) in measured {
            let state = states.entry(of.clone()).or_default();
            state.is_there = true;
            changes.extend(
                self.observe(state, measured, now)
                    .map(|raised| (of, raised, state.value)),
            );
        }
        states.retain(|of, state| {
            // What was raised and is no longer watched must not stay raised.
            if !state.is_there && state.machine.is_raised() {
                changes.push((of.clone(), false, 0.0));
            }
            state.is_there
        });
        drop(states);
        for ((gate, policy), raised, value) in changes {
            self.report((&gate, &policy), raised, value, log, now);
        }
    }

    fn measure(&self, readings: &Readings) -> Vec<((String, String), Measured)> {
        let measure = &self.alarm.measure;
        if let Measure::Load(signal) = measure {
            // A signal that panics is not there.
            let load = attempt(|| signal.load());
            let of = (self.alarm.name.clone(), String::new());
            return load
                .map(|load| (of, Measured::Value(load)))
                .into_iter()
                .collect();
        }
        let gates = readings.gates.iter().filter_map(|(gate, counts)| {
            let measured = measure.of_gate(counts)?;
            Some(((gate.clone(), String::new()), measured))
        });
        let policies = readings.policies.iter().filter_map(|(gate, policy)| {
            let measured = measure.of_policy(policy)?;
            Some(((gate.clone(), policy.policy.clone()), measured))
        });
        gates.chain(policies).collect()
    }

    /// Returns whether the alarm was raised or cleared.
    fn observe(&self, state: &mut State, measured: Measured, now: Instant) -> Option<bool> {
        let Alarm {
            marks,
            window,
            at_least,
            ..
        } = &self.alarm;
        state.value = match measured {
            Measured::Value(value) => value,
            Measured::Counts(part, whole) => {
                state.share.of((part, whole), (*window, *at_least), now)
            }
        };
        let change = state.machine.observe(marks, state.value, now)?;
        Some(matches!(change, Crossed::Raised { .. }))
    }

    fn report(
        &self,
        (gate, policy): (&str, &str),
        raised: bool,
        value: f64,
        log: &EventLog,
        now: Instant,
    ) {
        let Alarm {
            name,
            marks,
            callbacks,
            ..
        } = &self.alarm;
        let (from, to) = if raised { (0.0, 1.0) } else { (1.0, 0.0) };
        let of = if policy.is_empty() {
            String::new()
        } else {
            format!(" of {policy}")
        };
        let reason = if raised {
            format!("{value:.3}{of}: above {} for {:?}", marks.high, marks.after)
        } else {
            format!("{value:.3}{of}: below {}", marks.low)
        };
        log.add(
            gate,
            name,
            Change::new(&figures::ALARM, from, to, reason),
            now,
        );
        let (alarm, at) = (name.as_str(), now);
        callbacks.each(|callback| {
            callback(&AlarmChange {
                alarm,
                gate,
                policy,
                raised,
                value,
                at,
            });
        });
    }

    fn snapshot(&self) -> Vec<AlarmSnapshot> {
        let states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let all = states.iter().map(|((gate, policy), state)| AlarmSnapshot {
            alarm: self.alarm.name.clone(),
            gate: gate.clone(),
            policy: policy.clone(),
            raised: state.machine.is_raised(),
            value: state.value,
        });
        all.collect()
    }
}

impl fmt::Debug for Alarms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.all();
        f.debug_set()
            .entries(all.iter().map(|one| &one.alarm))
            .finish()
    }
}
