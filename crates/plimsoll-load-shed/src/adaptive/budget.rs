//! How many requests a second may be admitted: pure.

/// What was seen in one window.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) seconds: f64,
    /// Requests that arrived, per second, as far as is known.
    pub(crate) arriving: f64,
    /// Requests that ended with their work done.
    pub(crate) done: f64,
    /// The load at its end, 0 or more.
    pub(crate) load: f64,
}

/// The rate that is admitted: not limited, or what the service was seen to do, less or more by how far it is from the
/// line.
///
/// A proportional controller around a measured point. In front of a queue the load is the integral of what is admitted too
/// much, so this is all it takes: an integral term on top would swing, and the measured capacity is in its place.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Budget {
    /// `None`: everything may pass.
    rate: Option<f64>,
    /// Requests a second that the service can do.
    capacity: f64,
    /// Requests a second that it does, smoothed.
    done: f64,
}

/// The part of the capacity that is held back for each 1 of load beyond the line. With a queue's delay of 20 ms at the
/// line, what is too much is worked off in about half a second, which is some times the two windows that it takes to see it.
const GAIN: f64 = 0.05;
/// The most that is held back ...
const MOST_BACK: f64 = 0.8;
/// ... and the part of the capacity that is always admitted beyond it under the line, be it by ever so little.
const GROWTH: f64 = 0.005;
/// In a window without an answer the budget falls to this part of itself: a service that takes longer than a window for a
/// request shows nothing in the first. The more answers, the further it may fall.
const FALL: f64 = 0.5;
const FALL_ANSWERS: f64 = 10.0;
/// The budget is given up when it would admit this much more than arrives.
const ROOM: f64 = 1.1;
/// The part of what arrives that is always admitted, so that there is something to see.
const LEAST: f64 = 0.005;
/// Answers that weigh as much in the throughput as all before them ...
const ANSWERS: f64 = 2000.0;
/// ... and, where there are few, seconds that do.
const SECONDS: f64 = 5.0;

impl Budget {
    /// The rate to admit, `None` when it is not limited.
    pub(crate) fn rate(&self) -> Option<f64> {
        self.rate
    }

    /// Learns from a window.
    pub(crate) fn close(&mut self, window: &Window) {
        let answers = window.done / (window.done + ANSWERS);
        let weight = answers.max(window.seconds / (window.seconds + SECONDS));
        let done = window.done / window.seconds;
        self.done += weight * (done - self.done);
        let before = match self.rate {
            Some(rate) => rate,
            None if window.load < 1.0 => return,
            None => {
                self.capacity = self.done.max(done);
                window.arriving
            }
        };
        if window.load < 1.0 {
            // It has done more than it was thought to be able to: that is the proof.
            self.capacity = self.capacity.max(self.done) * (1.0 + GROWTH * (1.0 - window.load));
        } else {
            // It is busy, so what it does is what it can.
            self.capacity += weight * (done - self.capacity);
        }
        let back = (GAIN * (window.load - 1.0)).min(MOST_BACK);
        let fall = before * FALL * FALL_ANSWERS / (FALL_ANSWERS + window.done);
        let rate = (self.capacity * (1.0 - back))
            .max(fall)
            .max(LEAST * window.arriving);
        let open = window.load < 1.0 && rate > ROOM * window.arriving;
        self.rate = (!open).then_some(rate);
    }
}
