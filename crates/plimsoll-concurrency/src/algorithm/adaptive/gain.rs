//! What more in flight brings: the elasticity of throughput, from a limit that swings.

use std::fmt;

/// 1: twice the limit, twice the throughput. 0: no more. Below 0: less.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Gain {
    sum: f64,
    weight: f64,
    /// Logarithms of limit and throughput of the window before.
    last: Option<(f64, f64)>,
}

/// More headroom is worth it from this gain on,
const WORTH: f64 = 0.05;
/// and less is from this loss on.
const LOSS: f64 = -0.02;
/// How many standard errors make it certain.
const SURE: f64 = 2.5;
/// When it is known this well, and neither, all is well.
const KNOWN: f64 = 0.05;
/// Bounds of the boost.
pub(super) const LEAST: f64 = 0.6;
const MOST: f64 = 4.0;

impl Gain {
    /// Compares a window with the one before, when their limits were well apart.
    pub(super) fn compare(&mut self, limit: f64, throughput: f64, spread: f64) {
        let now = (limit.ln(), throughput.ln());
        let Some(last) = self.last.replace(now) else {
            return;
        };
        let moved = now.0 - last.0;
        if moved.abs() < 0.1 {
            return;
        }
        let weight = (moved / spread).powi(2) / 2.0;
        self.sum += ((now.1 - last.1) / moved).clamp(-3.0, 3.0) * weight;
        self.weight += weight;
    }

    /// All calls take longer, by the logarithm of this factor: so much less would have got done in the window before.
    pub(super) fn remix(&mut self, slower: f64) {
        if let Some((_, throughput)) = &mut self.last {
            *throughput -= slower;
        }
    }

    /// The two windows to compare are not of the same service.
    pub(super) fn forget(&mut self) {
        self.last = None;
    }

    /// What becomes of the boost.
    pub(super) fn judge(&mut self, boost: f64) -> f64 {
        if self.weight <= 0.0 {
            return boost;
        }
        let (gain, error) = (self.sum / self.weight, self.weight.sqrt().recip());
        let next = if gain - SURE * error > WORTH {
            (boost * 1.25).min(MOST)
        } else if gain + SURE * error < LOSS {
            (boost / 1.15).max(LEAST)
        } else if error < KNOWN {
            boost.powf(0.9)
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

impl fmt::Display for Gain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "e {:.3}~{:.3}",
            self.sum / self.weight,
            self.weight.sqrt().recip()
        )
    }
}
