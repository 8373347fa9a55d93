//! The trait, and how one series is registered.

use plimsoll_metrics::{Distribution, InvalidMetric, Metrics};

use super::families::Family;

/// Exports the figures of a part under a name.
///
/// See the [module](super) for an example and the families.
pub trait Export {
    /// Registers the figures in `metrics`, with `name` as the value of the label `name` (for an
    /// alarm: `signal`).
    ///
    /// Take the name from the program or its configuration, and never from a request: the registry
    /// has a bound, and series cannot be removed. The registry keeps the figures in memory, and what
    /// is queued; it keeps neither a hub nor a topic nor a work queue open.
    ///
    /// # Errors
    ///
    /// [`InvalidMetric`] when a part of this kind is registered under the name already, when the
    /// name is longer than 128 bytes, or when the registry is full. In the last case some of the
    /// figures are registered.
    fn export(&self, metrics: &Metrics, name: &str) -> Result<(), InvalidMetric>;
}

/// Registers the series of one part.
pub(super) struct Series<'a> {
    metrics: &'a Metrics,
    part: &'static str,
    name: &'a str,
}

/// Labels beside the name.
type Labels<'a> = &'a [(&'static str, &'a str)];
type Registered = Result<(), InvalidMetric>;

impl<'a> Series<'a> {
    pub(super) const fn new(metrics: &'a Metrics, part: &'static str, name: &'a str) -> Self {
        Self {
            metrics,
            part,
            name,
        }
    }

    fn labels<'b>(&self, labels: Labels<'b>) -> Vec<(&'static str, &'b str)>
    where
        'a: 'b,
    {
        let own = [("name", self.name), ("part", self.part)];
        own.into_iter().chain(labels.iter().copied()).collect()
    }

    pub(super) fn gauge<V: Into<f64>>(
        &self,
        family: Family,
        labels: Labels<'_>,
        read: impl Fn() -> V + Send + Sync + 'static,
    ) -> Registered {
        let (Family { name, help }, labels) = (family, self.labels(labels));
        self.metrics
            .gauge(name, help, &labels, move || read().into())
    }

    /// A gauge of what is counted in words.
    pub(super) fn size(
        &self,
        family: Family,
        labels: Labels<'_>,
        read: impl Fn() -> usize + Send + Sync + 'static,
    ) -> Registered {
        self.gauge(family, labels, move || read() as f64)
    }

    pub(super) fn counter(
        &self,
        family: Family,
        labels: Labels<'_>,
        read: impl Fn() -> u64 + Send + Sync + 'static,
    ) -> Registered {
        let (Family { name, help }, labels) = (family, self.labels(labels));
        self.metrics.counter(name, help, &labels, read)
    }

    pub(super) fn histogram(
        &self,
        family: Family,
        bounds: &[f64],
        read: impl Fn() -> Distribution + Send + Sync + 'static,
    ) -> Registered {
        let (Family { name, help }, labels) = (family, self.labels(&[]));
        self.metrics.histogram(name, help, &labels, bounds, read)
    }
}
