//! The registry as metrics of the facade crate `metrics`.

use ::metrics::{Key, KeyName, Label, Level, Metadata, Unit, with_recorder};

use crate::{
    Metrics,
    families::{Family, FlatFamily},
};

const METADATA: Metadata<'static> =
    Metadata::new("plimsoll_metrics", Level::INFO, Some("plimsoll_metrics"));

impl Metrics {
    /// Copies all metrics to the recorder of the facade crate [`metrics`](::metrics).
    ///
    /// The facade pulls nothing: call this every few seconds, or before each scrape. Counters are
    /// absolute, so a call that is left out loses nothing. Names and labels are those of the
    /// Prometheus text, and a counter's name ends in `_total`; histograms are copied as
    /// [`Family::flat`](crate::families::Family::flat) describes. Does nothing without a recorder.
    pub fn publish(&self) {
        let families = self.snapshot().families();
        for family in families.iter().flat_map(Family::flat) {
            publish(&family);
        }
    }
}

fn publish(family: &FlatFamily) {
    let mut name = family.name.to_string();
    if family.is_counter && !name.ends_with("_bucket") && !name.ends_with("_count") {
        name.push_str("_total");
    }
    let unit = match family.unit {
        Some("seconds") => Some(Unit::Seconds),
        Some("bytes") => Some(Unit::Bytes),
        _ => None,
    };
    with_recorder(|recorder| {
        let (key, help) = (KeyName::from(name.clone()), family.help.clone());
        if family.is_counter {
            recorder.describe_counter(key, unit, help.into());
        } else {
            recorder.describe_gauge(key, unit, help.into());
        }
        for sample in &family.samples {
            let label = |(name, value): &(&'static str, String)| Label::new(*name, value.clone());
            let labels: Vec<_> = sample.labels.iter().map(label).collect();
            let key = Key::from_parts(name.clone(), labels);
            if family.is_counter {
                // The facade's counters are whole numbers: a sum of seconds is rounded down.
                let counter = recorder.register_counter(&key, &METADATA);
                counter.absolute(sample.value as u64);
            } else {
                recorder.register_gauge(&key, &METADATA).set(sample.value);
            }
        }
    });
}
