//! Families as single numbers, for systems that cannot be given a finished histogram.

use std::borrow::Cow;

use super::{Family, FamilyKind, Labels, Value};

/// One number of a family.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Flat {
    /// The labels; those of a bucket include `le`, those of a quantile `quantile`.
    pub labels: Labels,
    /// The number.
    pub value: f64,
}

/// The numbers of one name, which are all counters or all gauges.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct FlatFamily {
    /// The name; of a counter without `_total`.
    pub name: Cow<'static, str>,
    /// One line about the metric.
    pub help: Cow<'static, str>,
    /// The unit, in the plural. `None` for numbers and ratios.
    pub unit: Option<&'static str>,
    /// Whether the numbers never fall.
    pub is_counter: bool,
    /// The numbers.
    pub samples: Vec<Flat>,
}

impl Family {
    /// The family as counters and gauges.
    ///
    /// A histogram becomes the counters `…_bucket`, cumulative and with the label `le`, `…_count`
    /// and `…_sum`, as Prometheus stores it. A summary becomes a gauge with the label `quantile`;
    /// its count and sum are those of the histogram beside it.
    pub fn flat(&self) -> Vec<FlatFamily> {
        let part = |suffix: &str, is_counter| FlatFamily {
            name: match suffix {
                "" => self.name.clone(),
                _ => format!("{}{suffix}", self.name).into(),
            },
            help: self.help.clone(),
            unit: self.unit.filter(|_| matches!(suffix, "" | "_sum")),
            is_counter,
            samples: Vec::new(),
        };
        if self.kind != FamilyKind::Histogram {
            let mut family = part("", self.kind == FamilyKind::Counter);
            for sample in &self.samples {
                match &sample.value {
                    Value::Count(count) => family.add(&sample.labels, None, *count as f64),
                    Value::Number(value) => family.add(&sample.labels, None, *value),
                    Value::Quantiles { quantiles, .. } => {
                        for (share, value) in quantiles {
                            family.add(&sample.labels, Some(("quantile", *share)), *value);
                        }
                    }
                    Value::Buckets { .. } => {}
                }
            }
            return vec![family];
        }
        let mut parts = [
            part("_bucket", true),
            part("_count", true),
            part("_sum", true),
        ];
        for sample in &self.samples {
            let Value::Buckets { buckets, sum, .. } = &sample.value else {
                continue;
            };
            let mut all = 0;
            for (bound, count) in buckets {
                all += count;
                parts[0].add(&sample.labels, Some(("le", *bound)), all as f64);
            }
            parts[1].add(&sample.labels, None, all as f64);
            parts[2].add(&sample.labels, None, *sum);
        }
        parts.into()
    }
}

impl FlatFamily {
    fn add(&mut self, labels: &Labels, own: Option<(&'static str, f64)>, value: f64) {
        let mut labels = labels.clone();
        labels.extend(own.map(|(label, value)| (label, super::family::float(value))));
        self.samples.push(Flat { labels, value });
    }
}
