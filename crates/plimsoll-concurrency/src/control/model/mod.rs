//! What is known about the service: its capacity, its no-load latency, and how well they are known.

mod probed;
mod rest;

use std::{mem, time::Duration};

use tokio::time::Instant;

use super::{Tuning, growth::Growth, observation::Observation};

/// What a window shows about the capacity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::control) enum Evidence {
    /// It confirms the estimate, or moves it a little.
    Near,
    /// Much lower throughput, for the first time: a pause, or lower capacity. The next window decides.
    Doubt,
    /// The capacity has fallen by a third or more.
    Fell,
}

/// What a probe found out about the no-load latency.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::control) enum Probed {
    /// As much was done with less in flight, so calls still wait for each other: probe lower.
    Queueing,
    /// This is the no-load latency.
    NoLoad,
}

/// The model of the service. Times are in seconds.
#[derive(Debug)]
pub(in crate::control) struct Model {
    pub(in crate::control) tuning: Tuning,
    /// Calls a second that the service completes when it is busy.
    pub(in crate::control) capacity: f64,
    /// How far the last window was off the capacity, in standard errors.
    surprise: f64,
    /// Mean latency when no call waits for another; 0 before the first window.
    pub(in crate::control) no_load: f64,
    /// The same, where the user states it.
    pub(in crate::control) stated_no_load: Option<f64>,
    /// Standard error of the no-load latency, relative to it.
    pub(in crate::control) error: f64,
    /// Coefficient of variation of the no-load latency; 1 until enough calls were measured.
    pub(in crate::control) variation: f64,
    /// Moving average of [`Observation::saturation`].
    pub(in crate::control) saturation: f64,
    /// Mean no-load latency of the last window's routes.
    route_latency: Option<f64>,
    /// Moving average of the share of calls that is dropped.
    pub(in crate::control) dropped: f64,
    /// Time until the deadline of requests.
    pub(in crate::control) deadline_left: Option<f64>,
    /// Throughput by Little's law over counted throughput. 1 unless calls are cancelled, or several
    /// cells share the limit and each has its own slots.
    pub(in crate::control) calibration: f64,
    /// What was measured while every request found a slot, with the fewest in flight.
    rested: Option<Observation>,
    /// What was measured in the startup without queueing.
    growth: Growth,
    /// The end of the last deep probe and its throughput; `None` if that was the capacity, and after a
    /// jump.
    probed_at: Option<(Instant, f64)>,
    /// Probes in a row that agree on the no-load latency.
    pub(in crate::control) agreed: u32,
    /// When the next probe is due; `None` before the first.
    pub(in crate::control) next_probe: Option<Instant>,
}

impl Model {
    pub(in crate::control) fn new(tuning: &Tuning) -> Self {
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
            growth: Growth::default(),
            probed_at: None,
            agreed: 0,
            next_probe: None,
        }
    }

    /// Calls that the service works on at a time when it is busy, by Little's law.
    pub(in crate::control) fn base(&self) -> f64 {
        self.capacity * self.no_load
    }

    /// The share of the time until its deadline that a request may spend inside the service: under
    /// saturation less where calls vary, by a standard deviation of that time.
    pub(in crate::control) fn inside(&self) -> f64 {
        let inside = self.tuning.inside;
        inside / (1.0 + inside * self.variation * self.saturation)
    }

    /// Whether the capacity was ever tried. Until then it is what was asked for.
    pub(in crate::control) fn is_tried(&self) -> bool {
        self.next_probe.is_some()
    }

    /// 1 while the service keeps up, 0 while it is saturated.
    pub(in crate::control) fn calm(&self) -> f64 {
        1.0 - self.saturation
    }

    /// Time in which nearly all calls in flight end.
    pub(in crate::control) fn tail(&self) -> Duration {
        let latencies = (1.0 + self.tuning.tail * self.variation).min(self.tuning.longest_wait);
        let seconds = (self.no_load * latencies).min(3600.0);
        Duration::from_secs_f64(seconds.max(self.tuning.shortest_window))
    }

    /// Standard error of the throughput of a window, relative to it: chance, and the calls that are
    /// cut off at its ends. One long call among short ones can halve a throughput by Little's law, so
    /// the window's own variation counts, too.
    pub(in crate::control) fn throughput_error(&self, seen: &Observation, limit: f64) -> f64 {
        let variation = self.variation.max(seen.variation);
        let chance = variation.max(self.tuning.changed) / seen.calls.sqrt();
        chance.max(limit / (self.tuning.generations * seen.calls))
    }

    /// Whether the throughput of a window is the capacity, but for chance.
    pub(in crate::control) fn confirms(&self, seen: &Observation) -> bool {
        let apart = (seen.throughput / self.capacity).ln().abs();
        apart < self.tuning.changed || self.surprise.abs() < self.tuning.certain
    }

    /// Takes in what holds in every phase: drops and deadlines.
    pub(in crate::control) fn observe(&mut self, seen: &Observation) {
        let weight = seen.ended / (seen.ended + self.tuning.prior);
        self.dropped += weight * (seen.dropped - self.dropped);
        self.deadline_left = seen.deadline_left;
    }

    /// No call of a window was answered before its caller left: the capacity is below the estimate,
    /// and what was measured of the callers is out of date.
    pub(in crate::control) fn contradicted(&mut self) {
        self.capacity /= self.tuning.boost_step;
        self.calibration = 1.0;
        self.growth = Growth::default();
    }

    /// The mix of routes has changed: all calls take longer, or shorter, by the same factor, while
    /// the service is what it was. Returns the logarithm of that factor.
    pub(in crate::control) fn follow_mix(&mut self, seen: &Observation) -> f64 {
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
    pub(in crate::control) fn routes_update(&mut self) {
        self.route_latency = None;
    }

    /// Takes in how saturated a window was.
    pub(in crate::control) fn saturate(&mut self, seen: &Observation) {
        let known = self.tuning.prior + self.tuning.saturation_memory * self.base();
        let weight = seen.calls / (seen.calls + known);
        self.saturation += weight * (seen.saturation - self.saturation);
    }

    /// Compares the two throughputs of a window in which the limit was steady.
    pub(in crate::control) fn calibrate(&mut self, seen: &Observation, weight: f64) {
        self.calibration *= disparity(seen).powf(weight);
    }

    /// The two throughputs differ in every window of a probe, so the calibration is wrong.
    pub(in crate::control) fn recalibrate(&mut self, seen: &Observation) {
        self.calibrate(seen, 1.0);
        if self.next_probe.is_none() {
            // The startup has only counted.
            self.capacity *= disparity(seen);
        }
    }

    /// Takes in a window of the startup, in which nothing is known yet.
    ///
    /// The lowest of several means is too low by chance, so means that may be equal are averaged. A
    /// longer one may be queueing.
    pub(in crate::control) fn start(&mut self, seen: &Observation, latency: f64) {
        let window = Observation { latency, ..*seen };
        self.growth.observe(&window, self.tuning.pays);
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

    /// Takes a window into the capacity. Only one that is `settled`, in which the limit did not
    /// move, may replace the estimate at once.
    pub(in crate::control) fn follow(
        &mut self,
        seen: &Observation,
        limit: f64,
        settled: bool,
    ) -> Evidence {
        let tuning = self.tuning;
        self.growth = Growth::default();
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
        if far {
            self.probed_at = None;
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
}

/// Throughput by Little's law over counted throughput.
fn disparity(seen: &Observation) -> f64 {
    (seen.throughput / seen.counted).clamp(0.1, 10.0)
}
