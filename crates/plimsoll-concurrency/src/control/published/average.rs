//! The long average of Gradient2.

/// The number of first samples of which the average is the plain mean: 10, as published.
pub(super) const WARM_UP: u32 = 10;

/// A moving average in nanoseconds that starts as a plain mean.
#[derive(Debug)]
pub(super) struct Average {
    factor: f64,
    count: u32,
    sum: f64,
    value: f64,
}

impl Average {
    pub(super) fn over(windows: u32) -> Self {
        Self {
            factor: 2.0 / (f64::from(windows) + 1.0),
            count: 0,
            sum: 0.0,
            value: 0.0,
        }
    }

    pub(super) fn value(&self) -> f64 {
        self.value
    }

    pub(super) fn is_warming_up(&self) -> bool {
        self.count < WARM_UP
    }

    pub(super) fn add(&mut self, sample: f64) -> f64 {
        if self.is_warming_up() {
            self.count += 1;
            self.sum += sample;
            self.value = self.sum / f64::from(self.count);
        } else {
            self.blend(sample, self.factor);
        }
        self.value
    }

    pub(super) fn blend(&mut self, sample: f64, weight: f64) {
        self.value = self.value * (1.0 - weight) + sample * weight;
    }

    /// Lowers an average that is more than twice the current latency, so that it recovers faster
    /// after a slow period.
    pub(super) fn recover(&mut self, latency: f64, value: f64) {
        if value / latency > 2.0 {
            self.value = value * 0.95;
        }
    }
}
