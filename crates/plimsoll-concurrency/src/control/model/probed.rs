//! When the no-load latency is probed, and what a probe found out.

use tokio::time::Instant;

use super::{Model, Probed};
use crate::control::observation::Observation;

impl Model {
    /// The longest no-load latency that fits what was measured, in seconds; once a probe has measured
    /// it, that one.
    ///
    /// The windows of the startup are too short for the longest calls, and so is its estimate. A probe
    /// that starts too high goes lower without a loss of throughput.
    pub(in crate::control) fn likely_no_load(&self) -> f64 {
        if self.is_tried() {
            return self.no_load;
        }
        let most = self.tuning.most_move * self.base();
        let trusted = |seen: &Observation| self.is_enough(seen) && seen.in_flight < most;
        let rested = self.rested.filter(trusted);
        let rested = rested.map(|seen| seen.latency);
        let measured = rested.into_iter().chain(self.growth.latency());
        measured.fold(self.no_load, f64::max)
    }

    /// How much it matters that the no-load latency is uncertain: 1 when its error is as large as
    /// the headroom under saturation, which hides it.
    fn uncertainty(&self) -> f64 {
        let base = self.base().max(1.0);
        let headroom = self.tuning.least_headroom - 1.0 + self.tuning.roots / base.sqrt();
        (self.error / headroom).powi(2)
    }

    /// How much more often than usual the no-load latency has to be probed.
    pub(in crate::control) fn urgency(&self) -> f64 {
        let most = self.tuning.urgency;
        if self.agreed == 0 {
            most
        } else {
            (1.0 + self.uncertainty()).min(most)
        }
    }

    /// How many times as many calls a probe has to hold as other windows: calls that vary more give
    /// a less certain mean.
    pub(in crate::control) fn probe_calls(&self) -> f64 {
        self.variation.powi(2).clamp(1.0, self.tuning.urgency)
    }

    /// Whether to probe now: at first, after a jump, and from time to time under saturation. While the
    /// service keeps up, a probe would gain nothing, and reject what could be served.
    pub(in crate::control) fn is_probe_due(&self, now: Instant) -> bool {
        let first_or_jump = self.next_probe.is_none_or(|at| at == now);
        let pays = first_or_jump || self.saturation > self.calm();
        let due = self.next_probe.is_none_or(|at| now >= at) || self.doubts_probe(now);
        self.stated_no_load.is_none() && pays && due
    }

    /// Whether the service was busy during the last probe, by what its capacity is now known to be.
    /// Then calls waited for each other, and the no-load latency is too long.
    ///
    /// Chance may look like that, too, so it does not count until a part of the pause has passed.
    pub(in crate::control) fn doubts_probe(&self, now: Instant) -> bool {
        let (Some((ended, throughput)), Some(next)) = (self.probed_at, self.next_probe) else {
            return false;
        };
        let pause = next.saturating_duration_since(ended);
        let late = now - ended >= pause.div_f64(self.tuning.urgency);
        late && throughput > self.tuning.nearly_all * self.capacity
    }

    /// Takes in the window in which the calls above a probe's limit ended.
    ///
    /// The service was busy in it. In the last window of the startup, calls that had just begun could
    /// not end, so the capacity is too low before the first probe.
    pub(in crate::control) fn drained(&mut self, seen: &Observation) {
        let chance = self.variation.max(seen.variation) / seen.calls.sqrt();
        let higher = seen.counted > self.capacity * (self.tuning.likely * chance).exp();
        if higher && !self.is_tried() {
            self.capacity = seen.counted;
        }
    }

    /// Takes in the window that a probe measured. A `shallow` one only checks the estimate.
    pub(in crate::control) fn probed(&mut self, seen: &Observation, shallow: bool) -> Probed {
        let share = seen.throughput / self.capacity;
        let full = !shallow && share > self.tuning.nearly_all;
        // Much more was done, with less in flight: the capacity was too low, and the base with it.
        let more = share > 1.0 + self.tuning.changed;
        if more {
            self.capacity = seen.throughput;
        }
        let full = full && !more;
        let error = seen.error(seen.variation);
        // Both the estimate and this window have an error.
        let chance = error.hypot(self.error * self.no_load);
        let tolerance = (self.tuning.likely * chance).max(self.tuning.same * self.no_load);
        let near = (seen.latency - self.no_load).abs() < tolerance;
        if near && !full && self.next_probe.is_some() {
            self.agreed += 1;
        } else {
            self.agreed = 0;
        }
        // The mean of the probes that agree, and of the last few of them once they are many.
        let weight = f64::from(self.agreed + 1)
            .recip()
            .max(2.0 * self.tuning.fade);
        self.no_load += (seen.latency - self.no_load) * weight;
        let known = self.error * (1.0 - weight);
        self.error = known.hypot(error / seen.latency * weight);
        self.variation += 3.0 * self.tuning.fade * (seen.variation - self.variation);
        if (full || shallow && !near) && seen.limit > 1.0 {
            return Probed::Queueing;
        }
        if !shallow {
            self.probed_at = (!full).then_some((seen.now, seen.throughput));
        }
        Probed::NoLoad
    }
}
