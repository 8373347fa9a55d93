//! How many requests a second may be admitted: pure.

use super::rate::{Learned, Sample};

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
    capacity: Learned,
    /// Requests a second that it does.
    doing: Learned,
    /// What was done of late, whether or not it was all that could be.
    recent: [Sample; 2],
    /// What was done in windows at the line or beyond, since the capacity was last learned.
    busy: Sample,
    /// The part of the capacity that is tried beyond it.
    more: f64,
}

/// The part of the capacity that is held back for each 1 of load beyond the line, and admitted beyond it for each 1 below.
/// With a queue's delay of 20 ms at the line, what is too much is worked off in a fifth of a second, which is some times the
/// windows that it takes to see it.
const GAIN: f64 = 0.1;
/// The most that is held back.
const MOST_BACK: f64 = 0.9;
/// The part of the capacity that is tried beyond it after a second under the line ...
const MORE: f64 = 0.05;
/// ... and what that grows by in a second, as a multiple of itself: a doubled capacity is found in three seconds, and
/// one of which a tenth is idle is not run into the ground.
const GROWTH: f64 = 1.0;
/// So many seconds it takes until the budget has fallen by half, if there are no answers to judge by: a service that takes long
/// for a request shows nothing at first ...
const FALL: f64 = 0.25;
/// ... and with so many answers it may fall by half at once.
const FALL_ANSWERS: f64 = 10.0;
/// The budget is given up when it would admit this much more than arrives.
const ROOM: f64 = 1.1;
/// The part of what arrives that is always admitted, so that there is something to see.
const LEAST: f64 = 0.005;

impl Budget {
    /// The rate to admit, `None` when it is not limited.
    pub(crate) fn rate(&self) -> Option<f64> {
        self.rate
    }

    /// Learns from a window.
    pub(crate) fn close(&mut self, window: &Window) {
        let sample = Sample::new(window.done, window.seconds);
        self.doing.follow(&sample);
        if self.recent[0].is_enough() {
            self.recent = [Sample::default(), self.recent[0]];
        }
        self.recent[0] += sample;
        let seen = self.recent[0] + self.recent[1];
        let over = window.load - 1.0;
        let before = match self.rate {
            Some(rate) => rate,
            None if over < 0.0 => return,
            None => {
                self.capacity = Learned::new(self.doing.rate().max(seen.rate()));
                self.busy = Sample::default();
                window.arriving
            }
        };
        if over < 0.0 {
            // It does more than it was thought to be able to: that is the proof.
            self.capacity.at_least(self.doing.rate());
            self.more += (MORE + GROWTH * self.more) * window.seconds * -over;
        } else {
            self.more = 0.0;
            // It is busy, so what it does is what it can.
            self.busy += sample;
            if self.busy.is_enough() {
                self.capacity.learn(&self.busy);
                self.busy = Sample::default();
            }
        }
        let back = (GAIN * over).min(MOST_BACK);
        let answers = FALL_ANSWERS / (FALL_ANSWERS + seen.count());
        let fall = before * answers * FALL / (FALL + window.seconds);
        let rate = (self.capacity.rate() * (1.0 - back + self.more))
            .max(fall)
            .max(LEAST * window.arriving);
        let open = over < 0.0 && rate > ROOM * window.arriving;
        if open {
            self.more = 0.0;
        }
        self.rate = (!open).then_some(rate);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// A service and its queue as fluids; a delay of 20 ms is the line.
    struct Fluid {
        capacity: f64,
        offered: f64,
        queued: f64,
        budget: Budget,
    }

    impl Fluid {
        const WINDOW: f64 = 0.01;

        fn new(capacity: f64, offered: f64) -> Self {
            Self {
                capacity,
                offered,
                queued: 0.0,
                budget: Budget::default(),
            }
        }

        /// What is admitted over the capacity, and the load, on average over some seconds.
        fn run(&mut self, seconds: f64) -> (f64, f64) {
            let windows = (seconds / Self::WINDOW) as usize;
            let (mut sum, mut loads) = (0.0, 0.0);
            for _ in 0..windows {
                let admitted = self.budget.rate().unwrap_or(f64::MAX).min(self.offered);
                let done = (self.queued / Self::WINDOW + admitted).min(self.capacity);
                self.queued += (admitted - done) * Self::WINDOW;
                let load = self.queued / self.capacity / 0.02;
                self.budget.close(&Window {
                    seconds: Self::WINDOW,
                    arriving: self.offered,
                    done: done * Self::WINDOW,
                    load,
                });
                sum += admitted;
                loads += load;
            }
            (sum / self.capacity / windows as f64, loads / windows as f64)
        }
    }

    #[test]
    fn the_line_is_held_whatever_is_offered() {
        for times in [1.3, 2.0, 5.0, 12.0] {
            let mut fluid = Fluid::new(2_500.0, times * 2_500.0);
            fluid.run(2.0);
            let (admitted, load) = fluid.run(5.0);
            assert!((admitted - 1.0).abs() < 0.01, "{admitted} at {times}x");
            assert!((load - 1.0).abs() < 0.2, "a load of {load} at {times}x");
        }
    }

    #[test]
    fn half_a_service_is_noticed_in_a_second_and_the_whole_one_again_in_three() {
        let mut fluid = Fluid::new(2_500.0, 5_000.0);
        fluid.run(5.0);
        fluid.capacity = 1_250.0;
        fluid.run(1.0);
        let (admitted, load) = fluid.run(2.0);
        assert!(
            (admitted - 1.0).abs() < 0.05 && load < 2.0,
            "{admitted}, and a load of {load}"
        );
        fluid.capacity = 2_500.0;
        fluid.run(3.0);
        let (admitted, _) = fluid.run(1.0);
        assert!(admitted > 0.95, "{admitted}");
    }

    #[test]
    fn nothing_is_limited_under_the_line_nor_once_there_is_room() {
        let mut fluid = Fluid::new(2_500.0, 2_000.0);
        fluid.run(5.0);
        assert_eq!(fluid.budget.rate(), None);
        fluid.offered = 10_000.0;
        fluid.run(5.0);
        assert!(fluid.budget.rate().is_some());
        fluid.offered = 2_000.0;
        fluid.run(1.0);
        assert_eq!(fluid.budget.rate(), None);
    }

    #[test]
    fn without_an_answer_it_falls_by_half_in_a_quarter_of_a_second_and_never_to_nothing() {
        let mut budget = Budget::default();
        let window = Window {
            seconds: 0.005,
            arriving: 1_000.0,
            done: 0.0,
            load: 4.0,
        };
        (0..50).for_each(|_| budget.close(&window));
        let rate = budget.rate().unwrap();
        assert!((300.0..500.0).contains(&rate), "{rate}");
        (0..1000).for_each(|_| budget.close(&window));
        assert_eq!(budget.rate(), Some(5.0));
    }
}
