//! The history of a gate: points in rings of a fixed size.

use std::collections::VecDeque;

use crate::{
    delta::GateDelta,
    point::{Point, Sums},
};

/// The resolutions of the history: seconds of a point, and number of points. One minute, ten
/// minutes, one hour. With 72 bytes a point, 21 KiB for each gate.
/// `a_ring_keeps_its_size_and_the_latest_points` fails when a ring grows.
pub(crate) const RINGS: Rings = [(1, 60), (5, 120), (30, 120)];
/// The same for a fleet, whose peers are read every five seconds.
pub(crate) const FLEET_RINGS: Rings = [(5, 12), (5, 120), (30, 120)];
pub(crate) type Rings = [(u64, usize); 3];

/// Points of one resolution. An interval without a point is a gap.
#[derive(Debug)]
pub(crate) struct Ring {
    seconds: u64,
    points: VecDeque<(u64, Point)>,
    capacity: usize,
    /// The interval that continues, and what was before it.
    at: u64,
    pub(crate) current: Sums,
    pub(crate) previous: Sums,
}

impl Ring {
    pub(crate) fn new((seconds, capacity): (u64, usize)) -> Self {
        Self {
            seconds,
            points: VecDeque::with_capacity(capacity),
            capacity,
            at: 0,
            current: Sums::default(),
            previous: Sums::default(),
        }
    }

    /// Adds what the gate did in the `seconds` before `second`. Returns the point of an interval
    /// that this completed.
    pub(crate) fn add(&mut self, second: u64, gate: &GateDelta, seconds: f64) {
        let at = self.interval(second);
        if at != self.at {
            self.turn(at);
        }
        self.current.add(gate, seconds);
        if second % self.seconds == 0 {
            self.turn(at + 1);
        }
    }

    /// The interval that ends with or after this second.
    pub(crate) fn interval(&self, second: u64) -> u64 {
        second.saturating_sub(1) / self.seconds
    }

    /// Ends the interval, and continues with interval `at`.
    fn turn(&mut self, at: u64) {
        let ended = std::mem::take(&mut self.current);
        if ended.seconds > 0.0 {
            if self.points.len() == self.capacity {
                self.points.pop_front();
            }
            self.points.push_back((self.at, ended.point()));
            self.previous = ended;
        } else {
            self.previous = Sums::default();
        }
        if at > self.at + 1 {
            self.previous = Sums::default();
        }
        self.at = at;
    }

    /// The points of the last intervals up to that of `second`, oldest first; `None` is a gap.
    pub(crate) fn points(&self, second: u64) -> Vec<Option<&Point>> {
        let end = second / self.seconds;
        let first = end.saturating_sub(self.capacity as u64);
        let mut points = self
            .points
            .iter()
            .skip_while(|(at, _)| *at < first)
            .peekable();
        (first..end)
            .map(|at| points.next_if(|(of, _)| *of == at).map(|(_, point)| point))
            .collect()
    }

    /// The point of the interval that ended with this second, if one did.
    pub(crate) fn ended(&self, second: u64) -> Option<&Point> {
        let (at, point) = self.points.back()?;
        ((at + 1) * self.seconds == second).then_some(point)
    }

    /// What was done in the last one to two intervals.
    pub(crate) fn recent(&self) -> Sums {
        let mut recent = self.previous.clone();
        recent.merge(&self.current);
        recent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_keeps_its_size_and_the_latest_points() {
        let mut ring = Ring::new((5, 12));
        let places = ring.points.capacity();
        for second in 1..=10_000 {
            ring.add(second, &GateDelta::default(), 1.0);
        }
        assert_eq!((ring.points.len(), ring.points.capacity()), (12, places));
        assert_eq!(ring.points.front().map(|(at, _)| *at), Some(1988));
        assert!(ring.points(10_000).iter().all(Option::is_some));
        assert!(ring.ended(10_000).is_some() && ring.ended(10_001).is_none());
    }

    #[test]
    fn intervals_that_were_missed_are_gaps() {
        let mut ring = Ring::new((1, 6));
        for second in [1, 2, 5] {
            ring.add(second, &GateDelta::default(), 1.0);
        }
        let shown: Vec<_> = ring.points(6).iter().map(Option::is_some).collect();
        assert_eq!(shown, [true, true, false, false, true, false]);
    }
}
