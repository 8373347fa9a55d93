//! The families of gates and of the registry itself.

use plimsoll_core::Criticality;

use super::{
    BuiltIn, Family, Labels, Sample, Traced, Value,
    table::{
        ABANDONED, ADMITTED, ALARM, BODY_DROPPED, BY_CRITICALITY, FAILED_READINGS, FINISHED,
        GATES_MERGED, IN_FLIGHT, LATENCY, LOAD, MISSED_EVENTS, MISSING_KEYS, OFFERED,
        OVERLOADED_AT, PERMIT, RECENT_LATENCY, RECENT_WAIT, REJECTED, SHORTENED_NAMES, WAIT,
    },
};
use crate::{AlarmSnapshot, Exemplar, GateSnapshot, Latencies, Snapshot};

/// The quantiles of summaries.
const QUANTILES: [f64; 3] = [0.5, 0.99, 0.999];

/// What the gates counted and measured.
pub(super) fn families(snapshot: &Snapshot) -> Vec<Family> {
    let gates = &snapshot.gates;
    let count = |family, read: fn(&GateSnapshot) -> u64| {
        each(family, gates, |gate| Value::Count(read(gate)))
    };
    let families = [
        count(OFFERED, |gate| gate.counts.offered()),
        count(ADMITTED, |gate| gate.counts.admitted),
        family(REJECTED, gates.iter().flat_map(rejections).collect()),
        family(
            BY_CRITICALITY,
            gates.iter().flat_map(criticalities).collect(),
        ),
        count(ABANDONED, |gate| gate.counts.abandoned),
        family(FINISHED, gates.iter().flat_map(classes).collect()),
        count(BODY_DROPPED, |gate| gate.counts.body_dropped),
        count(MISSING_KEYS, |gate| gate.counts.missing_keys),
        each(IN_FLIGHT, gates, |gate| {
            Value::Number(gate.counts.in_flight() as f64)
        }),
        each(LATENCY, gates, |gate| {
            buckets(&gate.latency, &gate.exemplars)
        }),
        each(RECENT_LATENCY, gates, |gate| {
            quantiles(&gate.recent_latency, &gate.latency)
        }),
        each(WAIT, gates, |gate| buckets(&gate.waits, &[])),
        each(RECENT_WAIT, gates, |gate| {
            quantiles(&gate.recent_waits, &gate.waits)
        }),
        each(PERMIT, gates, |gate| buckets(&gate.permits, &[])),
    ];
    let written = |family: &Family| !family.samples.is_empty();
    families.into_iter().filter(written).collect()
}

/// The loads, and what the registry counts about itself.
pub(super) fn totals(snapshot: &Snapshot) -> Vec<Family> {
    let loads = snapshot.loads.iter().filter_map(|(signal, load)| {
        let labels = vec![("signal", signal.clone())];
        load.map(|load| sample(labels, Value::Number(load)))
    });
    let families = [
        family(LOAD, loads.collect()),
        alone(OVERLOADED_AT, Value::Number(snapshot.overloaded_at)),
        family(ALARM, snapshot.alarms.iter().map(alarm).collect()),
        alone(MISSED_EVENTS, Value::Count(snapshot.missed_events)),
        alone(SHORTENED_NAMES, Value::Count(snapshot.shortened_names)),
        alone(GATES_MERGED, Value::Count(snapshot.gates_merged)),
        alone(FAILED_READINGS, Value::Count(snapshot.failed_readings)),
    ];
    let written = |family: &Family| !family.samples.is_empty();
    families.into_iter().filter(written).collect()
}

fn family(of: BuiltIn, samples: Vec<Sample>) -> Family {
    Family {
        name: of.name.into(),
        help: of.help.into(),
        kind: of.kind,
        unit: of.unit,
        samples,
    }
}

fn alone(of: BuiltIn, value: Value) -> Family {
    family(of, vec![sample(Vec::new(), value)])
}

fn each(of: BuiltIn, gates: &[GateSnapshot], read: impl Fn(&GateSnapshot) -> Value) -> Family {
    let one = |gate: &GateSnapshot| sample(vec![label(gate)], read(gate));
    family(of, gates.iter().map(one).collect())
}

fn sample(labels: Labels, value: Value) -> Sample {
    Sample { labels, value }
}

fn alarm(alarm: &AlarmSnapshot) -> Sample {
    let labels = vec![
        ("alarm", alarm.alarm.clone()),
        ("gate", alarm.gate.clone()),
        ("policy", alarm.policy.clone()),
    ];
    sample(labels, Value::Number(f64::from(u8::from(alarm.raised))))
}

fn label(gate: &GateSnapshot) -> (&'static str, String) {
    ("gate", gate.name.clone())
}

fn rejections(gate: &GateSnapshot) -> impl Iterator<Item = Sample> + '_ {
    gate.counts.rejected.iter().map(|one| {
        let labels = vec![
            label(gate),
            ("policy", one.policy.to_owned()),
            ("kind", one.kind.as_str().to_owned()),
        ];
        sample(labels, Value::Count(one.count))
    })
}

fn criticalities(gate: &GateSnapshot) -> impl Iterator<Item = Sample> + '_ {
    Criticality::ALL.into_iter().map(|criticality| {
        let name = criticality.as_str().to_owned();
        let labels = vec![label(gate), ("criticality", name)];
        sample(labels, Value::Count(gate.counts.rejected_of(criticality)))
    })
}

fn classes(gate: &GateSnapshot) -> impl Iterator<Item = Sample> + '_ {
    gate.counts.classes().map(|(class, count)| {
        let labels = vec![label(gate), ("class", class.to_owned())];
        sample(labels, Value::Count(count))
    })
}

fn buckets(of: &Latencies, exemplars: &[Exemplar]) -> Value {
    let buckets = of.coarse();
    let traced = |exemplar: &Exemplar| {
        let value = exemplar.latency.as_secs_f64();
        Traced {
            bucket: buckets.partition_point(|(bound, _)| *bound < value),
            value,
            trace: format!("{:032x}", exemplar.trace),
        }
    };
    Value::Buckets {
        traces: exemplars.iter().map(traced).collect(),
        buckets,
        sum: of.sum().as_secs_f64(),
    }
}

fn quantiles(recent: &Latencies, all: &Latencies) -> Value {
    let quantile = |share| {
        let value = recent.quantile(share);
        (share, value.map_or(f64::NAN, |value| value.as_secs_f64()))
    };
    Value::Quantiles {
        quantiles: QUANTILES.map(quantile).to_vec(),
        count: all.count(),
        sum: all.sum().as_secs_f64(),
    }
}
