//! Instruments of OpenTelemetry that read the registry.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use opentelemetry::{
    KeyValue,
    metrics::{AsyncInstrument, Meter},
};
use tokio::time::Instant;

use crate::{
    Metrics,
    families::{Family, FlatFamily},
};

/// Age at which a reading is taken again: 100 ms. A collection calls every instrument one after the
/// other, which takes less; collections are seconds apart.
/// `a_collection_reads_the_registry_once` fails when it is zero.
const FRESH: Duration = Duration::from_millis(100);

impl Metrics {
    /// Registers an observable instrument of `meter` for each metric that there is now.
    ///
    /// Call it once, after the gates are built, the policies are watched and metrics are added:
    /// later gates and policies appear in the instruments of their metrics, new names do not.
    ///
    /// Names, labels and values are those of the Prometheus text, so that rules and boards work
    /// with both. OpenTelemetry has no instrument that takes a finished histogram: a histogram is
    /// exported as [`Family::flat`](crate::families::Family::flat) describes.
    ///
    /// The callbacks run on the thread that collects, and keep this registry alive.
    pub fn register_opentelemetry(&self, meter: &Meter) {
        let reading = Arc::new(Reading {
            metrics: self.clone(),
            latest: Mutex::default(),
        });
        for family in &*reading.get() {
            let name = family.name.clone();
            if family.is_counter {
                let builder = meter.f64_observable_counter(name.clone());
                let builder = builder.with_description(family.help.clone());
                let callback = reading.callback(name);
                builder
                    .with_unit(unit(family))
                    .with_callback(callback)
                    .build();
            } else {
                let builder = meter.f64_observable_gauge(name.clone());
                let builder = builder.with_description(family.help.clone());
                let callback = reading.callback(name);
                builder
                    .with_unit(unit(family))
                    .with_callback(callback)
                    .build();
            }
        }
    }
}

/// The unit as UCUM writes it.
fn unit(family: &FlatFamily) -> &'static str {
    match family.unit {
        Some("seconds") => "s",
        Some("bytes") => "By",
        Some(unit) => unit,
        None => "1",
    }
}

/// One reading for all instruments of a collection.
struct Reading {
    metrics: Metrics,
    latest: Mutex<Option<(Instant, Arc<Vec<FlatFamily>>)>>,
}

impl Reading {
    fn get(&self) -> Arc<Vec<FlatFamily>> {
        let now = Instant::now();
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((taken, families)) = &*latest {
            if now.saturating_duration_since(*taken) < FRESH {
                return Arc::clone(families);
            }
        }
        let families = self.metrics.snapshot().families();
        let flat = families.iter().flat_map(Family::flat);
        let flat = Arc::new(flat.collect());
        *latest = Some((now, Arc::clone(&flat)));
        flat
    }

    fn callback(
        self: &Arc<Self>,
        name: std::borrow::Cow<'static, str>,
    ) -> impl Fn(&dyn AsyncInstrument<f64>) + Send + Sync + 'static {
        let reading = Arc::clone(self);
        move |instrument| {
            let families = reading.get();
            let family = families.iter().find(|family| family.name == name);
            for sample in family.into_iter().flat_map(|family| &family.samples) {
                // A value that is unknown is no measurement.
                if !sample.value.is_nan() {
                    let label = |(name, value): &(&'static str, String)| {
                        KeyValue::new(*name, value.clone())
                    };
                    let labels: Vec<_> = sample.labels.iter().map(label).collect();
                    instrument.observe(sample.value, &labels);
                }
            }
        }
    }
}
