//! The speed of a server over time.

use crate::world::{Nanos, SECOND};

/// Speeds from given times on. Work done is the integral of speed.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    /// Start of each piece, its speed, and the work done until then.
    steps: Vec<(f64, f64, f64)>,
}

impl Schedule {
    /// Speed 1, and another speed from each of these times (in seconds, ascending).
    pub(crate) fn new(changes: impl IntoIterator<Item = (f64, f64)>) -> Self {
        let mut steps = vec![(0.0, 1.0, 0.0)];
        for (at, speed) in changes {
            let (since, was, done) = *steps.last().expect("there is a first step");
            steps.push((at * SECOND, speed, done + (at * SECOND - since) * was));
        }
        Self { steps }
    }

    /// When a server that starts now has done this much work, in nanoseconds at full speed.
    pub(crate) fn done_at(&self, now: Nanos, work: f64) -> Nanos {
        let now = now as f64;
        let index = self.steps.partition_point(|(from, ..)| *from <= now) - 1;
        let (from, speed, before) = self.steps[index];
        let goal = before + (now - from) * speed + work;
        let later = self.steps[index..].partition_point(|(.., done)| *done < goal);
        let (from, speed, done) = self.steps[index + later.max(1) - 1];
        if speed <= 0.0 {
            return Nanos::MAX; // it has stopped
        }
        (from + (goal - done) / speed).ceil() as Nanos
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_continues_through_changes_of_speed() {
        // Full speed for 10 s, none for 5 s, then half.
        let schedule = Schedule::new([(10.0, 0.0), (15.0, 0.5)]);
        let at = |start: f64, work: f64| {
            schedule.done_at((start * SECOND) as Nanos, work * SECOND) as f64 / SECOND
        };
        let near = |a: f64, b: f64| (a - b).abs() < 1e-6;
        assert!(near(at(0.0, 2.0), 2.0));
        assert!(near(at(9.0, 1.0), 10.0));
        assert!(near(at(9.0, 2.0), 17.0), "{}", at(9.0, 2.0));
        assert!(near(at(12.0, 1.0), 17.0));
        assert!(near(at(20.0, 1.0), 22.0));
    }
}
