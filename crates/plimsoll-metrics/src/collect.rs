//! Writes all families in one pass when the registry is scraped.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, MetricEncoder, NoLabelSet},
    metrics::{MetricType, exemplar::Exemplar},
    registry::Unit,
};
use tokio::time::Instant;

use crate::{
    GateMetrics, Metrics,
    families::Kind,
    latency::Latencies,
    pulled::{Family, Labels, Read, Series, attempt},
    recent::QUANTILES,
};

/// No metric has exemplars.
const NO_EXEMPLAR: Option<&Exemplar<NoLabelSet, f64>> = None;

/// A [`prometheus_client`] registry of the program can hold a `Metrics`:
/// `registry.register_collector(Box::new(metrics.clone()))`.
impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let gates = self.gates();
        if !gates.is_empty() {
            encode_counts(&mut encoder, &gates)?;
            let now = Instant::now();
            encode_durations(
                &mut encoder,
                "plimsoll_latency",
                "Request to head of the response",
                &gates,
                |gate| (gate.latency(), gate.recent_latency(now)),
            )?;
            encode_durations(
                &mut encoder,
                "plimsoll_wait",
                "Time in the queue",
                &gates,
                |gate| (gate.waits(), gate.recent_waits(now)),
            )?;
        }
        for family in self.0.pulled.families().iter() {
            self.encode_pulled(&mut encoder, family)?;
        }
        self.encode_loads(&mut encoder)?;
        self.encode_alarms(&mut encoder)?;
        for (name, help, count) in [
            (
                "plimsoll_missed_events",
                "Events that were dropped before they were delivered",
                self.0.events.missed.get(),
            ),
            (
                "plimsoll_shortened_names",
                "Names of gates that were too long",
                self.0.shortened.get(),
            ),
        ] {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            metric.encode_counter(&count, NO_EXEMPLAR)?;
        }
        // Last: all readings have been taken by now.
        let help = "Readings that panicked or returned an unknown state";
        let mut metric = encoder.encode_descriptor(
            "plimsoll_failed_readings",
            help,
            None,
            MetricType::Counter,
        )?;
        metric.encode_counter(&self.0.failed_readings.get(), NO_EXEMPLAR)
    }
}

fn encode_counts(encoder: &mut DescriptorEncoder<'_>, gates: &[GateMetrics]) -> fmt::Result {
    let all: Vec<_> = gates
        .iter()
        .map(|gate| (gate.name(), gate.counts()))
        .collect();

    let mut admitted = Counters::family(encoder, "plimsoll_admitted", "Requests admitted")?;
    for (gate, counts) in &all {
        admitted.series(&[("gate", *gate)], counts.admitted)?;
    }
    let mut rejected = Counters::family(encoder, "plimsoll_rejected", "Requests rejected")?;
    for (gate, counts) in &all {
        for one in &counts.rejected {
            let labels = [
                ("gate", *gate),
                ("policy", one.policy),
                ("kind", one.kind.as_str()),
            ];
            rejected.series(&labels, one.count)?;
        }
    }
    let help = "Requests that left the queue before they could run";
    let mut abandoned = Counters::family(encoder, "plimsoll_abandoned", help)?;
    for (gate, counts) in &all {
        abandoned.series(&[("gate", *gate)], counts.abandoned)?;
    }
    let help = "Admitted requests that ended";
    let mut finished = Counters::family(encoder, "plimsoll_finished", help)?;
    for (gate, counts) in &all {
        for (class, count) in counts.classes() {
            finished.series(&[("gate", *gate), ("class", class)], count)?;
        }
    }
    let help = "Answers whose body the caller dropped before its end";
    let mut dropped = Counters::family(encoder, "plimsoll_body_dropped", help)?;
    for (gate, counts) in &all {
        dropped.series(&[("gate", *gate)], counts.body_dropped)?;
    }
    let help = "Requests from which a policy of the gate read no key";
    let mut missing = Counters::family(encoder, "plimsoll_missing_keys", help)?;
    for (gate, counts) in &all {
        missing.series(&[("gate", *gate)], counts.missing_keys)?;
    }
    let help = "Admitted requests that have not ended";
    let mut in_flight =
        encoder.encode_descriptor("plimsoll_in_flight", help, None, MetricType::Gauge)?;
    for (gate, counts) in &all {
        in_flight
            .encode_family(&[("gate", *gate)])?
            .encode_gauge(&counts.in_flight())?;
    }
    Ok(())
}

/// A family of counters that is being written.
struct Counters<'a>(MetricEncoder<'a>);

impl<'a> Counters<'a> {
    fn family(
        encoder: &'a mut DescriptorEncoder<'_>,
        name: &'a str,
        help: &str,
    ) -> Result<Self, fmt::Error> {
        encoder
            .encode_descriptor(name, help, None, MetricType::Counter)
            .map(Self)
    }

    fn series(&mut self, labels: &impl EncodeLabelSet, count: u64) -> fmt::Result {
        self.0
            .encode_family(labels)?
            .encode_counter(&count, NO_EXEMPLAR)
    }
}

/// The histogram of all durations, and the quantiles of the recent ones.
fn encode_durations(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    gates: &[GateMetrics],
    read: impl Fn(&GateMetrics) -> (Latencies, Latencies),
) -> fmt::Result {
    let all: Vec<_> = gates.iter().map(|gate| (gate.name(), read(gate))).collect();

    let seconds = Unit::Seconds;
    let mut metric =
        encoder.encode_descriptor(name, help, Some(&seconds), MetricType::Histogram)?;
    for (gate, (total, _)) in &all {
        let buckets = total.buckets();
        let count = buckets.iter().map(|(_, count)| count).sum();
        metric
            .encode_family(&[("gate", *gate)])?
            .encode_histogram::<NoLabelSet>(total.sum().as_secs_f64(), count, &buckets, None)?;
    }

    let name = name.replace("plimsoll_", "plimsoll_recent_");
    let help = format!("{help}: quantiles of the last minute or two");
    let mut metric = encoder.encode_descriptor(&name, &help, Some(&seconds), MetricType::Gauge)?;
    for (gate, (_, recent)) in &all {
        for (label, quantile) in QUANTILES {
            // NaN without recorded durations, as in the summaries of Prometheus' own clients.
            let value = recent
                .quantile(quantile)
                .map_or(f64::NAN, |value| value.as_secs_f64());
            metric
                .encode_family(&[("gate", *gate), ("quantile", label)])?
                .encode_gauge(&value)?;
        }
    }
    Ok(())
}

impl Metrics {
    fn encode_pulled(&self, encoder: &mut DescriptorEncoder<'_>, family: &Family) -> fmt::Result {
        let kind = match family.kind {
            Kind::Counter => MetricType::Counter,
            Kind::Gauge => MetricType::Gauge,
            Kind::Histogram => MetricType::Histogram,
        };
        let mut metric = encoder.encode_descriptor(&family.name, &family.help, None, kind)?;
        for series in &family.series {
            if !encode_series(&mut metric, series)? {
                self.0.failed_readings.add();
            }
        }
        Ok(())
    }

    fn encode_alarms(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let alarms = self.0.alarms.snapshot();
        if alarms.is_empty() {
            return Ok(());
        }
        let help = "1 while the alarm is raised";
        let mut metric =
            encoder.encode_descriptor("plimsoll_alarm", help, None, MetricType::Gauge)?;
        for one in &alarms {
            let labels = [
                ("alarm", one.alarm.as_str()),
                ("gate", one.gate.as_str()),
                ("policy", one.policy.as_str()),
            ];
            metric
                .encode_family(&labels)?
                .encode_gauge(&i64::from(one.raised))?;
        }
        Ok(())
    }

    fn encode_loads(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let loads = self.loads();
        if !loads.is_empty() {
            let help = "Load: 0 idle, 1 at capacity";
            let mut metric =
                encoder.encode_descriptor("plimsoll_load", help, None, MetricType::Gauge)?;
            for (signal, load) in &loads {
                if let Some(load) = load {
                    metric
                        .encode_family(&[("signal", signal.as_str())])?
                        .encode_gauge(load)?;
                }
            }
        }
        let help = "The load above which /health/load answers 503";
        let mut metric =
            encoder.encode_descriptor("plimsoll_overloaded_at", help, None, MetricType::Gauge)?;
        metric.encode_gauge(&self.overload_line())
    }
}

/// Writes one pulled series. `false` when the reading panicked or returned a state that is not in
/// the list.
fn encode_series(metric: &mut MetricEncoder<'_>, series: &Series) -> Result<bool, fmt::Error> {
    let labels = &series.labels;
    match &series.read {
        Read::Gauge(read) => {
            let Some(value) = attempt(read) else {
                return Ok(false);
            };
            labelled(metric, labels, |metric| metric.encode_gauge(&value))?;
            Ok(true)
        }
        Read::Counter(read) => {
            let Some(value) = attempt(read) else {
                return Ok(false);
            };
            labelled(metric, labels, |metric| {
                metric.encode_counter(&value, NO_EXEMPLAR)
            })?;
            Ok(true)
        }
        Read::Histogram(bounds, read) => {
            let Some(read) = attempt(read) else {
                return Ok(false);
            };
            let Some(buckets) = read.buckets(bounds) else {
                return Ok(false);
            };
            let count = buckets.iter().map(|(_, count)| count).sum();
            labelled(metric, labels, |metric| {
                metric.encode_histogram::<NoLabelSet>(read.sum, count, &buckets, None)
            })?;
            Ok(true)
        }
        Read::State(states, read) => {
            let Some(state) = attempt(read) else {
                return Ok(false);
            };
            for one in *states {
                let mut labels = labels.clone();
                labels.push(("state", (*one).to_owned()));
                metric
                    .encode_family(&labels)?
                    .encode_gauge(&i64::from(*one == state))?;
            }
            Ok(states.contains(&state))
        }
    }
}

/// Writes with labels, or without any: a family without labels would write empty braces.
fn labelled(
    metric: &mut MetricEncoder<'_>,
    labels: &Labels,
    write: impl FnOnce(&mut MetricEncoder<'_>) -> fmt::Result,
) -> fmt::Result {
    if labels.is_empty() {
        write(metric)
    } else {
        write(&mut metric.encode_family(labels)?)
    }
}
