//! The no-load latency while the service keeps up.

use super::Model;
use crate::control::observation::Observation;

impl Model {
    /// Updates the no-load latency from a window in which every request found a slot.
    ///
    /// With much in flight a longer latency may be queueing, which must not count as no-load latency.
    /// A shorter one must be shorter by more than chance: windows without one of the rare long calls
    /// look fast.
    pub(in crate::control) fn rest(&mut self, seen: &Observation) {
        let variance = seen.variation.max(self.variation).powi(2);
        let weight = seen.calls / (seen.calls + self.tuning.prior * (1.0 + variance));
        let error = seen.error(variance.sqrt());
        let shorter = seen.latency + self.tuning.likely * error < self.no_load;
        let at_no_load = self.is_at_no_load(seen);
        if shorter || at_no_load {
            self.no_load += weight * (seen.latency - self.no_load);
            self.variation += weight * (seen.variation - self.variation);
        }
        self.no_load = self.stated_no_load.unwrap_or(self.no_load);
        let rested = self
            .rested
            .map_or(*seen, |rested| self.rested(rested, seen));
        self.rested = Some(rested);
    }

    /// What was measured with the fewest in flight, after another window.
    fn rested(&self, rested: Observation, seen: &Observation) -> Observation {
        let tuning = &self.tuning;
        let more = seen.in_flight > (1.0 + tuning.changed) * rested.in_flight;
        let error = |of: &Observation| of.error(of.variation);
        let chance = tuning.likely * error(seen).hypot(error(&rested));
        let apart = (seen.latency - rested.latency).abs();
        if !more && apart < chance.max(tuning.same * rested.latency) {
            rested.and(seen)
        } else if more && self.is_enough(&rested) {
            rested
        } else {
            *seen
        }
    }

    /// Whether a window has enough calls for a good estimate of the no-load latency.
    pub(super) fn is_enough(&self, seen: &Observation) -> bool {
        seen.calls > self.tuning.prior * (1.0 + seen.variation.powi(2))
    }

    /// Takes in what was measured before the service was under load, in place of the first probe.
    /// Returns whether there was enough of it.
    ///
    /// Few were in flight then, compared with what the service is now known to work on at a time, so
    /// calls did not wait for each other. That was not known before, since less was asked for.
    pub(in crate::control) fn adopt_rest(&mut self) -> bool {
        let few = self.tuning.occupied_from * self.base();
        let Some(rested) = self.rested.filter(|rested| rested.in_flight < few) else {
            return false;
        };
        if self.next_probe.is_some() || !self.is_enough(&rested) {
            return false;
        }
        if self.stated_no_load.is_none() {
            self.no_load = rested.latency;
            self.error = rested.error(rested.variation) / rested.latency;
        }
        self.variation = rested.variation;
        self.agreed = 1;
        true
    }

    /// Whether few enough were in flight that calls did not wait for each other.
    pub(in crate::control) fn is_at_no_load(&self, seen: &Observation) -> bool {
        seen.in_flight < self.tuning.occupied_from * self.base() || seen.is_alone(&self.tuning)
    }
}
