//! From the model to the intended limit: the base, and room above it.
//!
//! The useful amount of room is measured. Under saturation the limit alternates around its middle,
//! which yields the elasticity of the throughput: at 1, twice the limit doubles the throughput; at
//! 0, it has no effect; below 0, it lowers the throughput.

use super::{model::Model, observation::Observation};

/// What the last window changed in the headroom, where that lowered it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Lowered {
    /// Nothing did.
    No,
    /// More in flight loses throughput.
    ByLoss,
    /// Calls are dropped.
    ByDrops,
}

/// The room above the base.
#[derive(Debug)]
pub(super) struct Headroom {
    /// A factor of the room: more than 1 where more in flight raises the throughput.
    boost: f64,
    /// Whether the limit is above its middle in the present window.
    above: bool,
    gain: Gain,
}

/// The elasticity of the throughput: a mean, weighted by how certain each comparison is.
#[derive(Debug, Default)]
struct Gain {
    sum: f64,
    weight: f64,
    /// Logarithms of limit and throughput of the last window.
    last: Option<(f64, f64)>,
}

impl Headroom {
    pub(super) fn new() -> Self {
        Self {
            boost: 1.0,
            above: true,
            gain: Gain::default(),
        }
    }

    /// The intended limit: the middle of the alternation. `objective` is a mean latency, in
    /// seconds, not to be exceeded.
    pub(super) fn middle(&self, model: &Model, objective: Option<f64>) -> f64 {
        let tuning = &model.tuning;
        let (base, least) = (model.base(), tuning.least_headroom);
        let headroom = least + (tuning.headroom - least) * model.calm();
        // What is uncertain may be too low, and the service would idle.
        let headroom = headroom * (1.0 + model.error) * self.boost;
        let middle = base * headroom + tuning.roots * base.sqrt();
        // By Little's law, this many in flight have that latency.
        let most = objective.map_or(f64::INFINITY, |objective| model.capacity * objective);
        middle.min(most).min(most_in_time(model))
    }

    /// The intended limit, on the present side of the alternation.
    pub(super) fn limit(&self, model: &Model, objective: Option<f64>) -> f64 {
        let (middle, swing) = (self.middle(model, objective), 1.0 + model.tuning.changed);
        let limit = if self.above {
            (middle * swing).max(middle + 1.0)
        } else {
            middle / swing
        };
        limit.min(most_in_time(model))
    }

    /// Evaluates a window of the alternation.
    pub(super) fn observe(&mut self, seen: &Observation, limit: f64, model: &Model) -> Lowered {
        let tuning = &model.tuning;
        let before = self.boost;
        let drops = seen.dropped > tuning.noticeable;
        if model.confirms(seen) && seen.saturation > 0.5 {
            self.gain.compare(seen, model.throughput_error(seen, limit));
            self.above = !self.above;
            if !drops {
                // While calls are dropped, a higher throughput is of calls whose callers leave.
                self.boost = self.gain.judge(before, model);
            }
        } else {
            self.forget();
            self.above = true;
        }
        // Below the base no call waits for another inside the service.
        if drops && limit > model.base() {
            let step = (seen.dropped - tuning.noticeable).min(tuning.fade);
            self.boost = (before * (1.0 - step)).max(tuning.least_boost);
            Lowered::ByDrops
        } else if self.boost < before {
            Lowered::ByLoss
        } else {
            Lowered::No
        }
    }

    /// The next window is not comparable with the last one.
    pub(super) fn forget(&mut self) {
        self.gain.last = None;
    }

    /// All calls take longer, by the logarithm of this factor, so the throughput of the last window
    /// would be lower now.
    pub(super) fn follow_mix(&mut self, slower: f64) {
        if let Some((_, throughput)) = &mut self.gain.last {
            *throughput -= slower;
        }
    }
}

/// The most in flight that the service answers in time: a request must not spend the time until its
/// deadline inside the service.
pub(super) fn most_in_time(model: &Model) -> f64 {
    let Some(left) = model.deadline_left else {
        return f64::INFINITY;
    };
    let tuning = &model.tuning;
    (model.capacity * model.inside() * left).max(tuning.least_headroom * model.base() + 1.0)
}

impl Gain {
    /// Compares a window with the one before; the more their limits differ, the more it counts.
    fn compare(&mut self, seen: &Observation, error: f64) {
        let now = (seen.limit.ln(), seen.counted.ln());
        let Some(last) = self.last.replace(now) else {
            return;
        };
        let moved = now.0 - last.0;
        if moved.abs() > 0.0 {
            // Both windows have that error.
            let weight = (moved / error).powi(2) / 2.0;
            self.sum += (now.1 - last.1) / moved * weight;
            self.weight += weight;
        }
    }

    /// The next boost. Once there is one, the measurement begins again.
    fn judge(&mut self, boost: f64, model: &Model) -> f64 {
        if self.weight <= 0.0 {
            return boost;
        }
        let tuning = &model.tuning;
        let (gain, error) = (self.sum / self.weight, self.weight.sqrt().recip());
        let next = if gain - tuning.likely * error > tuning.gain_worth {
            (boost * tuning.boost_step).min(tuning.most_boost)
        } else if gain + tuning.likely * error < -tuning.gain_loss {
            (boost / tuning.boost_step).max(tuning.least_boost)
        } else if error < tuning.gain_worth {
            boost.powf(1.0 - tuning.fade)
        } else {
            return boost;
        };
        *self = Self {
            last: self.last,
            ..Self::default()
        };
        next
    }
}
