//! The state of a board: the gates with their history, and the latest events.

use std::collections::VecDeque;

use crate::{
    counts::Counts,
    decode::clip,
    delta::GateDelta,
    event::BoardEvent,
    reading::{AlarmReading, PolicyReading},
    ring::{Ring, Rings},
};

/// Events that the board keeps. `plimsoll-metrics` keeps more of them for exporters.
pub(crate) const MAX_EVENTS: usize = 200;
/// Gates of a fleet, which may have more names than a process. The rest is merged as `other`.
const MAX_GATES: usize = 130;
/// Seconds after which a gate that no peer has any longer is removed: the length of the history.
const KEPT: u64 = 3600;

/// A gate with its history.
#[derive(Debug)]
pub(crate) struct GateState {
    /// A hash of the name: it stays when gates are added, and is safe in a page.
    pub(crate) id: String,
    /// Shown name, cut and without control characters.
    pub(crate) shown: String,
    name: String,
    pub(crate) total: Counts,
    pub(crate) policies: Vec<PolicyReading>,
    pub(crate) offenders: Vec<(String, u64)>,
    pub(crate) rings: [Ring; 3],
    pub(crate) limit_change: Option<BoardEvent>,
    /// The second of its last figures.
    pub(crate) seen: u64,
}

/// The gates, the latest events, and the time.
#[derive(Debug)]
pub(crate) struct Board {
    rings: Rings,
    pub(crate) gates: Vec<GateState>,
    pub(crate) events: VecDeque<BoardEvent>,
    /// Events that were added at the last update.
    pub(crate) new_events: usize,
    /// Events that were dropped by the registry before the board read them.
    pub(crate) lost_events: u64,
    /// Seconds since the start.
    pub(crate) second: u64,
    pub(crate) loads: Vec<(String, Option<f64>)>,
    pub(crate) overloaded_at: Option<f64>,
    pub(crate) failed_readings: u64,
    pub(crate) alarms: Vec<AlarmReading>,
    pub(crate) is_ready: bool,
}

impl Board {
    pub(crate) fn new(rings: Rings) -> Self {
        Self {
            rings,
            gates: Vec::new(),
            events: VecDeque::with_capacity(MAX_EVENTS),
            new_events: 0,
            lost_events: 0,
            second: 0,
            loads: Vec::new(),
            overloaded_at: None,
            failed_readings: 0,
            alarms: Vec::new(),
            is_ready: true,
        }
    }

    /// Adds what the gates did in the `seconds` before `second`.
    pub(crate) fn advance(&mut self, second: u64, seconds: f64, deltas: Vec<GateDelta>) {
        self.second = second;
        let mut other: Option<GateDelta> = None;
        for delta in deltas {
            let at = self.gates.iter().position(|gate| gate.name == delta.name);
            let at = match at {
                Some(at) => at,
                None if self.gates.len() < MAX_GATES => {
                    self.gates.push(GateState::new(&delta.name, self.rings));
                    self.gates.len() - 1
                }
                None => {
                    match &mut other {
                        Some(other) => other.add(delta),
                        None => other = Some(delta),
                    }
                    continue;
                }
            };
            if let Some(gate) = self.gates.get_mut(at) {
                gate.add(second, seconds, delta);
            }
        }
        if let Some(mut delta) = other {
            "other".clone_into(&mut delta.name);
            let at = self.gates.iter().position(|gate| gate.name == "other");
            let at = at.unwrap_or_else(|| {
                self.gates.push(GateState::new("other", self.rings));
                self.gates.len() - 1
            });
            if let Some(gate) = self.gates.get_mut(at) {
                gate.add(second, seconds, delta);
            }
        }
        self.gates.retain(|gate| gate.seen + KEPT >= second);
    }

    /// Adds events, oldest first.
    pub(crate) fn add_events(&mut self, events: Vec<BoardEvent>) {
        self.new_events = events.len().min(MAX_EVENTS);
        for event in events {
            if event.figure == "limit" {
                let gate = self.gates.iter_mut().find(|gate| gate.name == event.gate);
                if let Some(gate) = gate {
                    gate.limit_change = Some(event.clone());
                }
            }
            if self.events.len() == MAX_EVENTS {
                self.evict_event();
            }
            self.events.push_back(event);
        }
    }

    /// Evicts the oldest event of the kind with more than half of the places, so that a limit that
    /// changes each second evicts no state transition.
    fn evict_event(&mut self) {
        let states = self.events.iter().filter(|event| event.state).count();
        let kind = states > MAX_EVENTS / 2;
        let oldest = self.events.iter().position(|event| event.state == kind);
        self.events.remove(oldest.unwrap_or_default());
    }

    /// The events that were added at the last update.
    pub(crate) fn latest_events(&self) -> impl Iterator<Item = &BoardEvent> {
        self.events.iter().skip(self.events.len() - self.new_events)
    }

    /// Seconds of a point, and points, of a view of the history.
    pub(crate) fn view(&self, view: usize) -> (u64, usize) {
        self.rings[view.min(self.rings.len() - 1)]
    }
}

impl GateState {
    fn new(name: &str, rings: Rings) -> Self {
        let mut shown = name.to_owned();
        clip(&mut shown);
        if shown.len() < name.len() {
            shown.push('…');
        }
        let shown = shown
            .chars()
            .map(|c| if c.is_control() { '\u{fffd}' } else { c });
        Self {
            id: format!("{:016x}", fnv(name.as_bytes())),
            shown: shown.collect(),
            name: name.to_owned(),
            total: Counts::default(),
            policies: Vec::new(),
            offenders: Vec::new(),
            rings: rings.map(Ring::new),
            limit_change: None,
            seen: 0,
        }
    }

    fn add(&mut self, second: u64, seconds: f64, delta: GateDelta) {
        self.seen = second;
        if seconds > 0.0 {
            for ring in &mut self.rings {
                ring.add(second, &delta, seconds);
            }
        }
        self.total = delta.total;
        self.policies = delta.policies;
        self.offenders = delta.offenders;
    }
}

/// FNV-1a: the same in all processes and builds.
pub(crate) fn fnv(bytes: &[u8]) -> u64 {
    let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, mix)
}
