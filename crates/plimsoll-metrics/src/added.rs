//! The metrics that the program added, read for a snapshot.

use crate::{
    Metrics,
    clash::Kind,
    families::{Family, FamilyKind, Labels, Sample, Value},
    pulled::{self, Read, Series, attempt},
};

impl Metrics {
    /// Reads all added metrics, outside of locks. A reading that panics is left out and counted.
    pub(crate) fn added(&self) -> Vec<Family> {
        let families = self.0.pulled.families();
        families.iter().map(|family| self.read(family)).collect()
    }

    fn read(&self, family: &pulled::Family) -> Family {
        let mut samples = Vec::with_capacity(family.series.len());
        for series in &family.series {
            if !read(series, &mut samples) {
                self.0.failed_readings.add();
            }
        }
        Family {
            name: family.name.clone().into(),
            help: family.help.clone().into(),
            kind: match family.kind {
                Kind::Counter => FamilyKind::Counter,
                Kind::Gauge => FamilyKind::Gauge,
                Kind::Histogram => FamilyKind::Histogram,
            },
            unit: None,
            samples,
        }
    }
}

/// Reads one series. `false` when the reading panicked or returned something that it did not
/// announce: a state that is not in the list, a histogram with another number of buckets.
fn read(series: &Series, samples: &mut Vec<Sample>) -> bool {
    let mut add = |labels: Labels, value| samples.push(Sample { labels, value });
    let labels = || series.labels.clone();
    match &series.read {
        Read::Gauge(read) => {
            let Some(value) = attempt(read) else {
                return false;
            };
            add(labels(), Value::Number(value));
            true
        }
        Read::Counter(read) => {
            let Some(count) = attempt(read) else {
                return false;
            };
            add(labels(), Value::Count(count));
            true
        }
        Read::Histogram(bounds, read) => {
            let Some(read) = attempt(read) else {
                return false;
            };
            let Some(buckets) = read.buckets(bounds) else {
                return false;
            };
            let sum = read.sum;
            add(
                labels(),
                Value::Buckets {
                    buckets,
                    sum,
                    traces: Vec::new(),
                },
            );
            true
        }
        Read::State(states, read) => {
            let Some(state) = attempt(read) else {
                return false;
            };
            for one in *states {
                let mut labels = labels();
                labels.push(("state", (*one).to_owned()));
                add(labels, Value::Number(f64::from(u8::from(*one == state))));
            }
            states.contains(&state)
        }
    }
}
