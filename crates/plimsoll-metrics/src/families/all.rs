//! A snapshot as families.

use super::{Family, gates, policies};
use crate::Snapshot;

impl Snapshot {
    /// The snapshot as families, in the order of [`FAMILIES`](crate::families::FAMILIES), then the figures of policies, then
    /// the metrics that the program added. Families without samples are left out.
    ///
    /// ```
    /// use plimsoll_metrics::Metrics;
    ///
    /// let metrics = Metrics::new();
    /// metrics.gate("edge");
    /// let families = metrics.snapshot().families();
    /// let offered = &families[0];
    /// assert_eq!((&*offered.name, offered.samples.len()), ("plimsoll_offered", 1));
    /// ```
    pub fn families(&self) -> Vec<Family> {
        let mut families = gates::families(self);
        families.extend(policies::families(self));
        families.extend(self.added.iter().cloned());
        families.extend(gates::totals(self));
        families
    }
}
