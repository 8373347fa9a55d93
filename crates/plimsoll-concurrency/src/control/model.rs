//! What is known about the service: its capacity, its no-load latency, and how well they are known.

use std::{mem, time::Duration};

use tokio::time::Instant;

use super::{Tuning, observation::Observation};

/// What a window shows about the capacity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Evidence {
    /// It confirms the estimate, or moves it a little.
    Near,
    /// Much lower throughput, for the first time: a pause, or lower capacity. The next window decides.
    Doubt,
    /// The capacity has fallen by a third or more.
    Fell,
}

/// What a probe found out about the no-load latency.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Probed {
    /// As much was done with less in flight, so calls still wait for each other: probe lower.
    Queueing,
    /// This is the no-load latency.
    NoLoad,
}

/// The model of the service. Times are in seconds.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) tuning: Tuning,
    /// Calls a second that the service completes when it is busy.
    pub(super) capacity: f64,
    /// How far the last window was off the capacity, in standard errors.
    surprise: f64,
    /// Mean latency when no call waits for another; 0 before the first window.
    pub(super) no_load: f64,
    /// The same, where the user states it.
    pub(super) stated_no_load: Option<f64>,
    /// Standard error of the no-load latency, relative to it.
    pub(super) error: f64,
    /// Coefficient of variation of the no-load latency; 1 until enough calls were measured.
    pub(super) variation: f64,
    /// Moving average of [`Observation::saturation`].
    pub(super) saturation: f64,
    /// Mean no-load latency of the last window's routes.
    route_latency: Option<f64>,
    /// Moving average of the share of calls that is dropped.
    pub(super) dropped: f64,
    /// Time until the deadline of requests.
    pub(super) deadline_left: Option<f64>,
    /// Throughput by Little's law over counted throughput. 1 unless calls are cancelled, or several
    /// cells share the limit and each has its own slots.
    pub(super) calibration: f64,
    /// What was measured while every request found a slot, with the fewest in flight.
    rested: Option<Observation>,
    /// The last window of the startup, until the next shows whether the service was busy in it.
    growing: Option<Observation>,
    /// The windows of the startup in which it was not.
    grown: Option<Observation>,
    /// Probes in a row that agree on the no-load latency.
    pub(super) agreed: u32,
    /// When the next probe is due; `None` before the first.
    pub(super) next_probe: Option<Instant>,
}

impl Model {
    pub(super) fn new(tuning: &Tuning) -> Self {
        Self {
            tuning: *tuning,
            capacity: 0.0,
            surprise: 0.0,
            no_load: 0.0,
            stated_no_load: None,
            error: 0.0,
            variation: 1.0,
            saturation: 0.0,
            route_latency: None,
            dropped: 0.0,
            deadline_left: None,
            calibration: 1.0,
            rested: None,
            growing: None,
            grown: None,
            agreed: 0,
            next_probe: None,
        }
    }

    /// Calls that the service works on at a time when it is busy, by Little's law.
    pub(super) fn base(&self) -> f64 {
        self.capacity * self.no_load
    }

    /// The largest base that fits what was measured; the base, once a probe has measured it.
    ///
    /// The windows of the startup are too short for the longest calls, and so is its no-load latency.
    /// A probe that starts too high goes lower without a loss of throughput.
    pub(super) fn likely_base(&self) -> f64 {
        if self.is_tried() {
            return self.base();
        }
        let rested = self.rested.filter(|rested| self.is_enough(rested));
        let longest = |latency: f64, seen: Observation| latency.max(seen.latency);
        let measured = rested.into_iter().chain(self.grown);
        self.capacity * measured.fold(self.no_load, longest)
    }

    /// The share of the time until its deadline that a request may spend inside the service: less where
    /// calls vary, by a standard deviation of that time.
    pub(super) fn inside(&self, saturation: f64) -> f64 {
        let inside = self.tuning.inside;
        inside / (1.0 + inside * self.variation * saturation)
    }

    /// Whether the capacity was ever tried. Until then it is what was asked for.
    pub(super) fn is_tried(&self) -> bool {
        self.next_probe.is_some()
    }

    /// 1 while the service keeps up, 0 while it is saturated.
    pub(super) fn calm(&self) -> f64 {
        1.0 - self.saturation
    }

    /// Time in which nearly all calls in flight end.
    pub(super) fn tail(&self) -> Duration {
        let latencies = (1.0 + self.tuning.tail * self.variation).min(self.tuning.longest_wait);
        let seconds = (self.no_load * latencies).min(3600.0);
        Duration::from_secs_f64(seconds.max(self.tuning.shortest_window))
    }

    /// Standard error of the throughput of a window, relative to it: chance, and the calls that are
    /// cut off at its ends. One long call among short ones can halve a throughput by Little's law, so
    /// the window's own variation counts, too.
    pub(super) fn throughput_error(&self, seen: &Observation, limit: f64) -> f64 {
        let variation = self.variation.max(seen.variation);
        let chance = variation.max(self.tuning.changed) / seen.calls.sqrt();
        chance.max(limit / (self.tuning.generations * seen.calls))
    }

    /// Whether the throughput of a window is the capacity, but for chance.
    pub(super) fn confirms(&self, seen: &Observation) -> bool {
        let apart = (seen.throughput / self.capacity).ln().abs();
        apart < self.tuning.changed || self.surprise.abs() < self.tuning.certain
    }

    /// How much it matters that the no-load latency is uncertain: 1 when its error is as large as
    /// the headroom under saturation, which hides it.
    fn uncertainty(&self) -> f64 {
        let base = self.base().max(1.0);
        let headroom = self.tuning.least_headroom - 1.0 + self.tuning.roots / base.sqrt();
        (self.error / headroom).powi(2)
    }

    /// How much more often than usual the no-load latency has to be probed.
    pub(super) fn urgency(&self) -> f64 {
        let most = self.tuning.urgency;
        if self.agreed == 0 {
            most
        } else {
            (1.0 + self.uncertainty()).min(most)
        }
    }

    /// How many times as many calls a probe has to hold as other windows: calls that vary more give
    /// a less certain mean.
    pub(super) fn probe_calls(&self) -> f64 {
        self.variation.powi(2).clamp(1.0, self.tuning.urgency)
    }

    /// Takes in what holds in every phase: drops and deadlines.
    pub(super) fn observe(&mut self, seen: &Observation) {
        let weight = seen.ended / (seen.ended + self.tuning.prior);
        self.dropped += weight * (seen.dropped - self.dropped);
        self.deadline_left = seen.deadline_left;
    }

    /// No call of a window was answered before its caller left: the capacity is below the estimate,
    /// and what was measured of the callers is out of date.
    pub(super) fn contradicted(&mut self) {
        self.capacity /= self.tuning.boost_step;
        self.calibration = 1.0;
        (self.growing, self.grown) = (None, None);
    }

    /// The mix of routes has changed: all calls take longer, or shorter, by the same factor, while
    /// the service is what it was. Returns the logarithm of that factor.
    pub(super) fn follow_mix(&mut self, seen: &Observation) -> f64 {
        let before = mem::replace(&mut self.route_latency, seen.route_latency);
        let (Some(before), Some(now)) = (before, seen.route_latency) else {
            return 0.0;
        };
        let slower = now / before;
        self.no_load *= slower;
        self.capacity /= slower;
        if let Some(rested) = &mut self.rested {
            rested.latency *= slower;
        }
        slower.ln()
    }

    /// Routes update their latencies from this window: the next is not comparable with it.
    pub(super) fn routes_update(&mut self) {
        self.route_latency = None;
    }

    /// Takes in how saturated a window was.
    pub(super) fn saturate(&mut self, seen: &Observation) {
        let known = self.tuning.prior + self.tuning.saturation_memory * self.base();
        let weight = seen.calls / (seen.calls + known);
        self.saturation += weight * (seen.saturation - self.saturation);
    }

    /// Compares the two throughputs of a window in which the limit was steady.
    pub(super) fn calibrate(&mut self, seen: &Observation, weight: f64) {
        self.calibration *= disparity(seen).powf(weight);
    }

    /// The two throughputs differ in every window of a probe, so the calibration is wrong.
    pub(super) fn recalibrate(&mut self, seen: &Observation) {
        self.calibrate(seen, 1.0);
        if self.next_probe.is_none() {
            // The startup has only counted.
            self.capacity *= disparity(seen);
        }
    }

    /// Whether to probe now: at first, after a jump, and from time to time under saturation. While the
    /// service keeps up, a probe would gain nothing, and reject what could be served.
    pub(super) fn is_probe_due(&self, now: Instant) -> bool {
        let first_or_jump = self.next_probe.is_none_or(|at| at == now);
        let pays = first_or_jump || self.saturation > self.calm();
        self.stated_no_load.is_none() && pays && self.next_probe.is_none_or(|at| now >= at)
    }

    /// Takes in a window of the startup, in which nothing is known yet.
    ///
    /// The lowest of several means is too low by chance, so means that may be equal are averaged. A
    /// longer one may be queueing.
    pub(super) fn start(&mut self, seen: &Observation, latency: f64) {
        self.grow(&Observation { latency, ..*seen });
        let error = seen.error(seen.variation) / seen.latency;
        let known = self.error;
        if self.no_load <= 0.0
            || latency < self.no_load * (1.0 - self.tuning.likely * known.hypot(error))
        {
            (self.no_load, self.error) = (latency, error);
        } else if latency < self.no_load {
            let weight = known.powi(2) / (known.powi(2) + error.powi(2)).max(f64::MIN_POSITIVE);
            self.no_load += weight * (latency - self.no_load);
            self.error = (known * (1.0 - weight)).hypot(error * weight);
        }
        self.no_load = self.stated_no_load.unwrap_or(self.no_load);
        self.capacity = seen.counted;
        // With the assumed variation the first probe would wait for long calls that there may not be.
        let weight = seen.calls / (seen.calls + self.tuning.prior);
        self.variation += weight * (seen.variation - self.variation);
    }

    /// Compares a window of the startup with the one before. If much more was done in it, calls did not
    /// wait for each other in the one before.
    fn grow(&mut self, seen: &Observation) {
        let rises = |before: &Observation| seen.counted > self.tuning.pays * before.counted;
        let before = self.growing.replace(*seen).filter(rises);
        let joined = before.map(|before| self.grown.map_or(before, |grown| grown.and(&before)));
        self.grown = joined.or(self.grown);
    }

    /// Takes a window into the capacity. Only one that is `settled`, in which the limit did not
    /// move, may replace the estimate at once.
    pub(super) fn follow(&mut self, seen: &Observation, limit: f64, settled: bool) -> Evidence {
        let tuning = self.tuning;
        (self.growing, self.grown) = (None, None);
        if self.capacity <= 0.0 {
            self.capacity = seen.throughput;
        }
        let apart = (seen.throughput / self.capacity).ln();
        if !seen.demand {
            // The service could have done more, but no more was asked for.
            self.capacity *= apart.max(0.0).exp();
            self.surprise = 0.0;
            return Evidence::Near;
        }
        let surprise = apart / self.throughput_error(seen, limit);
        let before = mem::replace(&mut self.surprise, surprise);
        let twice = surprise * before > 0.0 && surprise.abs().min(before.abs()) > tuning.likely;
        if settled && !twice && apart < -tuning.changed && surprise < -tuning.likely {
            return Evidence::Doubt;
        }
        let changed = apart.abs() > tuning.changed && (surprise > tuning.certain || twice);
        let mut weight = if settled && changed {
            1.0
        } else {
            let known = tuning.window_calls
                + tuning.generations * limit
                + tuning.prior * self.variation.powi(2);
            seen.calls / (seen.calls + known)
        };
        if apart < 0.0 {
            // A window in which requests found free slots is weak evidence of a lower capacity.
            weight *= seen.saturation;
        }
        self.capacity *= (apart * weight).exp();
        let moved = apart * weight;
        let (far, fell) = (moved.abs() > 2.0 * tuning.changed, apart < 0.0);
        let busy = seen.saturation.min(self.saturation) > 0.5;
        // The same for falls and rises, so that one after the other leaves the base where it was.
        let speed = settled && changed && busy && (fell || !self.explains(seen.latency));
        if speed || far && fell {
            self.changed_speed(moved);
        }
        if far && fell {
            self.next_probe = Some(seen.now);
            return Evidence::Fell;
        }
        if far && speed {
            self.next_probe = self.next_probe.map(|_| seen.now);
        }
        Evidence::Near
    }

    /// Follows a jump of the capacity, given as the logarithm of its factor.
    ///
    /// The cause is another number of workers or another speed, which a probe distinguishes. Until then
    /// another speed is assumed, so the base stays: a machine that is slow for a moment is more frequent,
    /// and a probe that starts too high goes lower without a loss of throughput.
    fn changed_speed(&mut self, capacity: f64) {
        if self.stated_no_load.is_none() {
            self.no_load *= (-capacity).exp();
        }
    }

    /// Whether calls with this latency do not wait for each other, so that a higher limit explains a
    /// higher throughput.
    fn explains(&self, latency: f64) -> bool {
        let longer = latency / self.no_load;
        (1.0 - self.tuning.changed..self.tuning.pays).contains(&longer)
    }

    /// Updates the no-load latency from a window in which every request found a slot.
    ///
    /// With much in flight a longer latency may be queueing, which must not count as no-load latency.
    /// A shorter one must be shorter by more than chance: windows without one of the rare long calls
    /// look fast.
    pub(super) fn rest(&mut self, seen: &Observation) {
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
    fn is_enough(&self, seen: &Observation) -> bool {
        seen.calls > self.tuning.prior * (1.0 + seen.variation.powi(2))
    }

    /// Takes in what was measured before the service was under load, in place of the first probe.
    /// Returns whether there was enough of it.
    ///
    /// Few were in flight then, compared with what the service is now known to work on at a time, so
    /// calls did not wait for each other. That was not known before, since less was asked for.
    pub(super) fn adopt_rest(&mut self) -> bool {
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
    pub(super) fn is_at_no_load(&self, seen: &Observation) -> bool {
        seen.in_flight < self.tuning.occupied_from * self.base() || seen.is_alone(&self.tuning)
    }

    /// Takes in the window that a probe measured. A `shallow` one only checks the estimate.
    pub(super) fn probed(&mut self, seen: &Observation, shallow: bool) -> Probed {
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
            Probed::Queueing
        } else {
            Probed::NoLoad
        }
    }
}

/// Throughput by Little's law over counted throughput.
fn disparity(seen: &Observation) -> f64 {
    (seen.throughput / seen.counted).clamp(0.1, 10.0)
}
