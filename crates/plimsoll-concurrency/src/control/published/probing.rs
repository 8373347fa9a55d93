//! Probes: the limit is lowered for a short time to measure latency without a queue.

/// The least number of windows from one probe to the next; the most is twice that.
const MIN_WINDOWS: u32 = 30;

/// Schedules probes, at random times so that the instances of a service do not probe together.
///
/// A probe holds the limit low for two windows: in the first the queue empties, and the second is
/// measured.
#[derive(Debug)]
pub(super) struct Probing {
    random: fastrand::Rng,
    /// Windows until the next probe.
    left: u32,
    /// The limit of the current probe, and whether its first window has ended.
    current: Option<(f64, bool)>,
}

/// What to do after a window.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    /// No probe.
    Normal,
    /// A probe is due.
    Due,
    /// The queue was emptying in this window: hold this limit for another.
    Hold(f64),
    /// The window was without a queue, and the probe has ended.
    Measured,
}

impl Probing {
    pub(super) fn new() -> Self {
        Self::from(fastrand::Rng::new())
    }

    /// Advances by one window.
    pub(super) fn advance(&mut self) -> Step {
        match self.current {
            Some((limit, false)) => {
                self.current = Some((limit, true));
                Step::Hold(limit)
            }
            Some((_, true)) => {
                self.reschedule();
                Step::Measured
            }
            None => {
                self.left = self.left.saturating_sub(1);
                if self.left == 0 {
                    Step::Due
                } else {
                    Step::Normal
                }
            }
        }
    }

    /// Starts a probe and returns the limit to hold.
    ///
    /// The limit is three quarters of the requests that would be in flight without a queue, if a
    /// call then takes `no_load` and now takes `latency`. It is at least half of `limit`, because
    /// `no_load` may be outdated.
    pub(super) fn start(&mut self, limit: f64, no_load: f64, latency: f64) -> f64 {
        let low = (limit * 0.75 * no_load / latency)
            .clamp(limit / 2.0, limit)
            .max(1.0);
        self.current = Some((low, false));
        low
    }

    /// Ends a probe, if any, and schedules the next one.
    pub(super) fn reschedule(&mut self) {
        self.current = None;
        self.left = self.random.u32(MIN_WINDOWS..=2 * MIN_WINDOWS);
    }
}

impl From<fastrand::Rng> for Probing {
    fn from(mut random: fastrand::Rng) -> Self {
        let left = random.u32(MIN_WINDOWS..=2 * MIN_WINDOWS);
        Self {
            random,
            left,
            current: None,
        }
    }
}
