//! What happened between two readings of a process, and its sum over processes.

use std::cmp::Reverse;

use crate::{
    counts::Counts,
    decode::MAX_OFFENDERS,
    figures::merge_policies,
    reading::{GateReading, PolicyReading, Reading},
    sparse::Sparse,
};

/// What a gate did between two readings, and its figures at the second one.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct GateDelta {
    pub(crate) name: String,
    /// Since the start of the process.
    pub(crate) total: Counts,
    /// Since the reading before.
    pub(crate) new: Counts,
    pub(crate) latency: Sparse,
    pub(crate) waits: Sparse,
    pub(crate) permits: Sparse,
    pub(crate) policies: Vec<PolicyReading>,
    /// Since the start of the process.
    pub(crate) offenders: Vec<(String, u64)>,
}

/// What all gates did after `before`. Without an earlier reading nothing is new; of a gate that the
/// earlier reading lacks, all is new.
pub(crate) fn deltas(now: &Reading, before: Option<&Reading>) -> Vec<GateDelta> {
    let gates = now.gates.iter().enumerate();
    gates
        .map(|(at, gate)| match before {
            None => GateDelta::idle(gate),
            // The order of gates changes only when one is added.
            Some(before) => {
                let same = before.gates.get(at).filter(|of| of.name == gate.name);
                let found = same.or_else(|| before.gates.iter().find(|of| of.name == gate.name));
                GateDelta::since(gate, found)
            }
        })
        .collect()
}

impl GateDelta {
    /// A gate that did nothing new: the totals and the figures of its reading.
    pub(crate) fn idle(gate: &GateReading) -> Self {
        Self {
            name: gate.name.clone(),
            total: gate.counts.clone(),
            policies: gate.policies.clone(),
            offenders: gate.offenders.clone(),
            ..Self::default()
        }
    }

    fn since(gate: &GateReading, before: Option<&GateReading>) -> Self {
        let Some(before) = before else {
            return Self {
                new: gate.counts.clone(),
                latency: gate.latency.clone(),
                waits: gate.waits.clone(),
                permits: gate.permits.clone(),
                ..Self::idle(gate)
            };
        };
        Self {
            new: gate.counts.since(&before.counts),
            latency: gate.latency.since(&before.latency),
            waits: gate.waits.since(&before.waits),
            permits: gate.permits.since(&before.permits),
            ..Self::idle(gate)
        }
    }

    /// Adds the gate of another process. Histograms are merged: a percentile of the sum is that of
    /// all calls.
    pub(crate) fn add(&mut self, other: Self) {
        self.total.add(&other.total);
        self.new.add(&other.new);
        self.latency.merge(&other.latency);
        self.waits.merge(&other.waits);
        self.permits.merge(&other.permits);
        merge_policies(&mut self.policies, other.policies);
        for (key, count) in other.offenders {
            match self.offenders.iter_mut().find(|(of, _)| *of == key) {
                Some((_, sum)) => *sum = sum.saturating_add(count),
                None => self.offenders.push((key, count)),
            }
        }
        self.offenders.sort_by_key(|(_, count)| Reverse(*count));
        self.offenders.truncate(MAX_OFFENDERS);
    }
}

/// Adds the gates of another process, by name.
pub(crate) fn merge(into: &mut Vec<GateDelta>, from: Vec<GateDelta>) {
    for gate in from {
        match into.iter_mut().find(|of| of.name == gate.name) {
            Some(of) => of.add(gate),
            None => into.push(gate),
        }
    }
}
