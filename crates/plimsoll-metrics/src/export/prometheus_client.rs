//! A `Metrics` inside of a registry of the crate `prometheus-client`.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet},
    metrics::{MetricType, exemplar::Exemplar},
};

use crate::{
    Metrics,
    families::{Family, FamilyKind, Sample, Value},
};

/// No metric has exemplars here: the crate has no way to hand one over.
const NO_EXEMPLAR: Option<&Exemplar<NoLabelSet, f64>> = None;

/// A [`prometheus_client`] registry of the program can hold a `Metrics`:
/// `registry.register_collector(Box::new(metrics.clone()))`.
///
/// The crate has no summaries: recent quantiles are gauges there, with the label `percentile`, and
/// without units in their metadata.
impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for family in self.snapshot().families() {
            let kind = match family.kind {
                FamilyKind::Counter => MetricType::Counter,
                FamilyKind::Histogram => MetricType::Histogram,
                FamilyKind::Gauge | FamilyKind::Summary => MetricType::Gauge,
            };
            let mut metric = encoder.encode_descriptor(&family.name, &family.help, None, kind)?;
            for sample in &family.samples {
                write(&mut metric, &family, sample)?;
            }
        }
        Ok(())
    }
}

fn write(metric: &mut MetricEncoder<'_>, family: &Family, sample: &Sample) -> fmt::Result {
    if let Value::Quantiles { quantiles, .. } = &sample.value {
        for (share, value) in quantiles {
            let mut labels = sample.labels.clone();
            labels.push(("percentile", (100.0 * share).to_string()));
            metric.encode_family(&labels)?.encode_gauge(value)?;
        }
        return Ok(());
    }
    let mut metric = metric.encode_family(&sample.labels)?;
    match &sample.value {
        Value::Count(count) => metric.encode_counter(count, NO_EXEMPLAR),
        Value::Number(value) if family.kind == FamilyKind::Counter => {
            metric.encode_counter(value, NO_EXEMPLAR)
        }
        Value::Number(value) => metric.encode_gauge(value),
        Value::Buckets { buckets, sum, .. } => {
            let count = buckets.iter().map(|(_, count)| count).sum();
            metric.encode_histogram::<NoLabelSet>(*sum, count, buckets, None)
        }
        Value::Quantiles { .. } => Ok(()),
    }
}
