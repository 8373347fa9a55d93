//! The ramp after an outage: admitted concurrency doubles step by step.

use crate::{nanos::nanos, settings::Settings};

/// Steps of a ramp; the limit doubles at each: 8.
///
/// From 3 probes the last step admits 384 concurrent calls, more than most clients have, and the
/// end of the ramp admits all. With fewer steps the last increase is a large part of the load;
/// `the_limit_doubles_with_each_step` fails when it differs.
const STEPS: u64 = 8;

/// The calls of a recovering breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Ramp {
    since: u64,
    length: u64,
    /// The limit at the latest request, and when it doubles.
    limit: u32,
    next_step: u64,
    running: u32,
}

impl Ramp {
    /// A ramp that starts at `now`, at the number of probes.
    pub(super) fn start(now: u64, rules: &Settings) -> Self {
        let mut ramp = Self {
            since: now,
            length: rules.ramp.map_or(0, nanos),
            ..Self::default()
        };
        ramp.step(now, rules);
        ramp
    }

    pub(super) fn is_over(&self, now: u64) -> bool {
        now.saturating_sub(self.since) >= self.length
    }

    /// Gives a place to a request, if one is free. Returns whether it did.
    pub(super) fn ask(&mut self, now: u64, rules: &Settings) -> bool {
        self.step(now, rules);
        let admitted = self.running < self.limit;
        self.running += u32::from(admitted);
        admitted
    }

    fn step(&mut self, now: u64, rules: &Settings) {
        let step_length = (self.length / STEPS).max(1);
        let step = (now.saturating_sub(self.since) / step_length).min(STEPS - 1);
        self.limit = rules.probes_at_a_time << step;
        self.next_step = self
            .since
            .saturating_add(step_length.saturating_mul(step + 1));
    }

    /// Releases the place of a call.
    pub(super) fn release(&mut self) {
        self.running = self.running.saturating_sub(1);
    }

    pub(super) fn running(&self) -> u32 {
        self.running
    }

    /// The number of calls that may run at a time, as of the latest request.
    pub(super) fn limit(&self) -> u32 {
        self.limit
    }

    /// The time before which no request is admitted unless a call ends. 0 while a place is free.
    pub(super) fn not_before(&self) -> u64 {
        if self.running < self.limit {
            0
        } else {
            self.next_step
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_limit_doubles_with_each_step() {
        let rules = Settings {
            ramp: Some(Duration::from_nanos(800)),
            probes_at_a_time: 3,
            ..Settings::DEFAULT
        };
        let mut ramp = Ramp::start(1_000, &rules);
        let mut admitted = Vec::new();
        for now in (1_000..1_800).step_by(100) {
            while ramp.ask(now, &rules) {}
            assert_eq!(ramp.not_before(), now + 100);
            admitted.push(ramp.running());
            assert!(!ramp.is_over(now + 99));
        }
        assert_eq!(admitted, [3, 6, 12, 24, 48, 96, 192, 384]);
        assert!(ramp.is_over(1_800));
        ramp.release();
        assert_eq!(ramp.not_before(), 0);
    }
}
