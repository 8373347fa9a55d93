//! The number of requests per second to admit. Pure.

use super::rate::{Learned, Sample};

/// The measurements of one window.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) seconds: f64,
    /// Requests that arrived per second, estimated.
    pub(crate) arriving: f64,
    /// Calls that ended and count as work done.
    pub(crate) done: f64,
    /// The load at the end of the window, 0 or more.
    pub(crate) load: f64,
}

/// The rate to admit: unlimited, or the measured capacity, corrected by the distance of the load from
/// its target of 1.
///
/// A proportional controller around a measured operating point. In front of a queue the load is the
/// integral of the excess admitted, so an integral term would make the loop oscillate. The measured
/// capacity takes its place.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Budget {
    /// Requests per second; `None` admits everything.
    rate: Option<f64>,
    /// The capacity, in requests per second.
    capacity: Learned,
    /// The throughput, in requests per second.
    doing: Learned,
    /// Calls done in the last one or two samples, busy or not.
    recent: [Sample; 2],
    /// Calls done in windows with a load of 1 or more since the capacity was last updated.
    busy: Sample,
    /// The share of the capacity that is admitted beyond it, as a probe.
    more: f64,
}

/// Share of the capacity that is subtracted for each 1 of load above 1, and added for each 1 below.
///
/// With an objective of 20 ms of queue delay, the excess is worked off in 0.2 s: several times the
/// windows that detect it, so that the loop is stable (`the_load_is_held_at_1_at_any_offered_load`).
const GAIN: f64 = 0.1;
/// The largest share of the capacity that is subtracted. The rest keeps the measurement alive.
const MOST_BACK: f64 = 0.9;
/// Share of the capacity that is added per second with a load below 1 ...
const MORE: f64 = 0.05;
/// ... and its growth per second, as a multiple of itself. A doubled capacity is found in three
/// seconds (`a_halved_capacity_is_noticed_in_one_second_and_a_restored_one_in_three`), while a service
/// that is 10 % idle is not overloaded.
const GROWTH: f64 = 1.0;
/// Seconds in which the budget may fall by half without a response. A service with long calls ends
/// none of them at first, and would be shut off
/// (`without_a_response_the_budget_halves_in_a_quarter_second_and_stays_above_0`).
const FALL: f64 = 0.25;
/// Responses that allow the budget to fall by half at once.
const FALL_ANSWERS: f64 = 10.0;
/// The budget is lifted when it exceeds the arrivals by this factor. At 1.0 noise in the arrivals
/// would lift it.
const ROOM: f64 = 1.1;
/// Share of the arrivals that is always admitted. At 0 no call would end, and the capacity could
/// never be measured again.
const LEAST: f64 = 0.005;

impl Budget {
    /// The rate to admit, in requests per second; `None` when it is not limited.
    pub(crate) fn rate(&self) -> Option<f64> {
        self.rate
    }

    /// Updates the budget at the end of a window.
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
            // Throughput above the capacity estimate proves a larger capacity.
            self.capacity.at_least(self.doing.rate());
            self.more += (MORE + GROWTH * self.more) * window.seconds * -over;
        } else {
            self.more = 0.0;
            // The service is busy, so its throughput is its capacity.
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

    /// A fluid model of a service with a queue. The load is 1 at a delay of 20 ms.
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

        /// Mean admitted rate over the capacity, and mean load, in these seconds.
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
    fn the_load_is_held_at_1_at_any_offered_load() {
        for times in [1.3, 2.0, 5.0, 12.0] {
            let mut fluid = Fluid::new(2_500.0, times * 2_500.0);
            fluid.run(2.0);
            let (admitted, load) = fluid.run(5.0);
            assert!((admitted - 1.0).abs() < 0.01, "{admitted} at {times}x");
            assert!((load - 1.0).abs() < 0.2, "a load of {load} at {times}x");
        }
    }

    #[test]
    fn a_halved_capacity_is_noticed_in_one_second_and_a_restored_one_in_three() {
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
    fn there_is_no_limit_below_a_load_of_1_and_after_the_overload() {
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
    fn without_a_response_the_budget_halves_in_a_quarter_second_and_stays_above_0() {
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
