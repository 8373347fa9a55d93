//! How many requests a second may be admitted: pure.

/// What was seen in one window.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    /// Its length in units of the shortest window.
    pub(crate) length: f64,
    /// Requests that arrived, per second, as far as is known.
    pub(crate) arriving: f64,
    /// Requests that ended with their work done, per second.
    pub(crate) done: f64,
    /// How many those were.
    pub(crate) count: f64,
    /// The load at its end.
    pub(crate) load: f64,
}

/// The rate that is admitted: not limited, or held at what the service was seen to do.
///
/// Over the line the service is busy, so what it gets done is its capacity: that is the new budget, less a part of it
/// that grows with the excess, to work off what has piled up. Under the line the budget grows by a small part of the
/// most that was seen, the smaller the nearer the line.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Budget {
    /// `None`: everything may pass.
    rate: Option<f64>,
    /// What the service gets done when it is busy, smoothed. 0: not known.
    capacity: f64,
    /// The most that it got done lately.
    best: f64,
}

/// The part of the capacity that is held back at twice the load of the line, or more.
const DRAIN: f64 = 0.5;
/// In one window the budget falls to this part of itself at most: a service that takes longer than a window for a request
/// shows nothing in the first.
const FASTEST_FALL: f64 = 0.5;
/// The part of the capacity by which an idle service's budget grows in a window.
const GROWTH: f64 = 0.03;
/// The budget is given up when it would admit this much more than arrives.
const ROOM: f64 = 1.1;
/// The part of what arrives that is always admitted, so that there is something to see.
pub(crate) const LEAST: f64 = 0.005;
/// Samples that weigh as much in the capacity as all before them.
const SAMPLES: f64 = 50.0;
/// What is left in one window of a best throughput that is not seen any more.
const FADE: f64 = 0.998;

impl Budget {
    /// The rate to admit, `None` when it is not limited.
    pub(crate) fn rate(&self) -> Option<f64> {
        self.rate
    }

    /// Learns from a window.
    pub(crate) fn close(&mut self, window: &Window) {
        self.best = window.done.max(self.best * FADE.powf(window.length));
        if window.load >= 1.0 {
            self.cut(window);
        } else {
            self.grow(window);
        }
    }

    fn cut(&mut self, window: &Window) {
        let weight = window.count / (window.count + SAMPLES);
        self.capacity = if self.capacity == 0.0 {
            window.done
        } else {
            self.capacity + weight * (window.done - self.capacity)
        };
        let before = self.rate.unwrap_or(window.arriving);
        let target = self.capacity * (1.0 - DRAIN * (window.load - 1.0).min(1.0));
        let rate = target.clamp(before * FASTEST_FALL, before);
        self.rate = Some(rate.max(LEAST * window.arriving));
    }

    fn grow(&mut self, window: &Window) {
        let Some(rate) = self.rate else {
            return;
        };
        let slack = 1.0 - window.load.max(0.0);
        let rate = rate + GROWTH * window.length * slack * self.best;
        self.rate = (rate <= ROOM * window.arriving).then_some(rate);
        if self.rate.is_none() {
            self.capacity = 0.0;
        }
    }
}
