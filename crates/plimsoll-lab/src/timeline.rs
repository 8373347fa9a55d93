//! The steps of a scenario over time, and what is possible between them.

use crate::scenario::{Scenario, Step};

/// Pieces of a gradual step.
const PIECES: u32 = 100;

/// A stretch of time without changes: load and capacity as multiples of the point's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Stretch {
    pub(crate) from: f64,
    pub(crate) until: f64,
    pub(crate) load: f64,
    pub(crate) capacity: f64,
}

/// The steps until the end, in order: repeated steps are repeated, gradual ones are cut into
/// pieces.
pub(crate) fn steps(scenario: &Scenario, end: f64) -> Vec<Step> {
    let mut all = Vec::new();
    let mut reached = Values::default();
    for step in &scenario.step {
        let mut at = step.at;
        loop {
            let since = reached;
            reached = reached.after(step);
            match step.until.filter(|until| *until > step.at) {
                None => all.push(Step { at, ..*step }),
                Some(until) => all.extend((1..=PIECES).map(|piece| {
                    let part = f64::from(piece) / f64::from(PIECES);
                    since.towards(step, part, at + part * (until - step.at))
                })),
            }
            let Some(every) = step.every.filter(|every| *every > 0.0) else {
                break;
            };
            at += every;
            if at >= end {
                break;
            }
        }
    }
    all.retain(|step| step.at < end);
    all.sort_by(|a, b| a.at.total_cmp(&b.at));
    all
}

/// The stretches between the steps.
pub(crate) fn stretches(steps: &[Step], end: f64) -> Vec<Stretch> {
    let mut stretches = Vec::new();
    let mut values = Values::default();
    let mut from = 0.0;
    let last = Step {
        at: end,
        ..Step::default()
    };
    for step in steps.iter().chain([&last]) {
        if step.at > from {
            stretches.push(Stretch {
                from,
                until: step.at,
                load: values.load,
                capacity: values.speed * values.workers,
            });
            from = step.at;
        }
        values = values.after(step);
    }
    stretches
}

#[derive(Clone, Copy)]
struct Values {
    load: f64,
    speed: f64,
    workers: f64,
}

impl Default for Values {
    fn default() -> Self {
        Self {
            load: 1.0,
            speed: 1.0,
            workers: 1.0,
        }
    }
}

impl Values {
    fn after(self, step: &Step) -> Self {
        Self {
            load: step.load.unwrap_or(self.load),
            speed: step.speed.unwrap_or(self.speed),
            workers: step.workers.unwrap_or(self.workers),
        }
    }

    /// The values at a part of the way to the step.
    fn towards(self, step: &Step, part: f64, at: f64) -> Step {
        let way = |from: f64, to: Option<f64>| to.map(|to| from + (to - from) * part);
        Step {
            at,
            until: None,
            every: None,
            load: way(self.load, step.load),
            speed: way(self.speed, step.speed),
            workers: way(self.workers, step.workers),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario(steps: &str) -> Scenario {
        let head = "about = ''\nload = [1.0]\nseconds = 10\n";
        let server = "[[server]]\nmean-ms = 20\nlaw = 'constant'\nstations = [{ workers = { count = 1 } }]\n";
        toml::from_str(&format!("{head}{steps}{server}")).unwrap()
    }

    #[test]
    fn repeated_steps_are_repeated_until_the_end() {
        let steps = steps(
            &scenario(
                "[[step]]\nat = 1\nevery = 4\nspeed = 0\n[[step]]\nat = 2\nevery = 4\nspeed = 1\n",
            ),
            10.0,
        );
        let times: Vec<_> = steps.iter().map(|step| step.at).collect();
        assert_eq!(times, [1.0, 2.0, 5.0, 6.0, 9.0]);
        let stretches = stretches(&steps, 10.0);
        assert_eq!(stretches.len(), 6);
        let possible: f64 = stretches
            .iter()
            .map(|s| (s.until - s.from) * s.capacity)
            .sum();
        assert!((possible - 7.0).abs() < 1e-9, "{possible}");
    }

    #[test]
    fn a_gradual_step_reaches_its_end() {
        let steps = steps(
            &scenario("[[step]]\nat = 2\nuntil = 6\nspeed = 0.5\n"),
            10.0,
        );
        assert_eq!(steps.len(), PIECES as usize);
        let speed_at = |at: f64| {
            steps
                .iter()
                .rev()
                .find(|s| s.at <= at + 1e-9)
                .unwrap()
                .speed
                .unwrap()
        };
        assert!((speed_at(4.0) - 0.75).abs() < 1e-9 && (speed_at(9.0) - 0.5).abs() < 1e-9);
    }
}
