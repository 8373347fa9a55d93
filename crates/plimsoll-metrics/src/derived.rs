//! Changes that no policy reports by itself: found by comparing one step with the one before.

use std::time::Duration;

use plimsoll_core::{
    Criticality, Priority,
    alarm::{self, Machine, Marks},
    figures::{self, Change, Figure},
};
use tokio::time::Instant;

use crate::PolicySnapshot;

/// A queue above 80 % is about to act by its policy, and below 60 % it has room again: as the alarm
/// of `plimsoll-stream`. `a_queue_that_stays_nearly_full_is_an_event` fails when they differ.
pub(crate) const SATURATED: Marks = Marks {
    high: 0.8,
    low: 0.6,
    after: Duration::from_secs(10),
};
/// How long a threshold must stay in a lower band before that is an event. A load at the edge of a
/// band crosses it many times per minute; a rise is reported at once.
/// `a_threshold_that_crosses_an_edge_again_and_again_is_one_event` fails with 0 s.
const CALM: Duration = Duration::from_secs(5);

/// What was found in the steps before.
#[derive(Debug, Default)]
pub(crate) struct Derived {
    band: Option<Band>,
    queue: Machine,
    settings: Vec<(&'static str, String)>,
    setting_changes: u32,
    began: bool,
}

/// The criticalities that are shed, as the number of those below the threshold.
#[derive(Debug)]
struct Band {
    reported: u16,
    /// The threshold that was reported.
    threshold: f64,
    /// Since when it has been lower than that.
    lower: Option<Instant>,
}

impl Derived {
    pub(crate) fn step(
        &mut self,
        now_is: &PolicySnapshot,
        now: Instant,
        mut report: impl FnMut(Change),
    ) {
        if let Some(change) =
            value(now_is, &figures::THRESHOLD).and_then(|at| self.threshold(at, now))
        {
            report(change);
        }
        if let Some(change) = self.saturated(now_is, now) {
            report(change);
        }
        self.compare_settings(now_is, report);
        self.began = true;
    }

    fn threshold(&mut self, threshold: f64, now: Instant) -> Option<Change> {
        let is = band(threshold)?;
        let Some(known) = &mut self.band else {
            self.band = Some(Band {
                reported: is,
                threshold,
                lower: None,
            });
            // A policy that sheds when the log begins.
            return (is > 0).then(|| Change::new(&figures::THRESHOLD, 0.0, threshold, shed(is)));
        };
        let lower = known.lower.take();
        if is == known.reported {
            return None;
        }
        if is < known.reported {
            let since = lower.unwrap_or(now);
            if now.saturating_duration_since(since) < CALM {
                known.lower = Some(since);
                return None;
            }
        }
        known.reported = is;
        let from = std::mem::replace(&mut known.threshold, threshold);
        Some(Change::new(&figures::THRESHOLD, from, threshold, shed(is)))
    }

    fn saturated(&mut self, now_is: &PolicySnapshot, now: Instant) -> Option<Change> {
        let fill = fill(now_is)?;
        let change = match self.queue.observe(&SATURATED, fill, now)? {
            alarm::Change::Raised { load, .. } => (0.0, 1.0, load),
            alarm::Change::Cleared { load, .. } => (1.0, 0.0, load),
            _ => return None,
        };
        let (from, to, load) = change;
        let reason = format!("{:.0} % of the queue", load * 100.0);
        Some(Change::new(&figures::SATURATED, from, to, reason))
    }

    fn compare_settings(&mut self, now_is: &PolicySnapshot, mut report: impl FnMut(Change)) {
        let is_set = |(name, _): &&(&str, String)| *name != figures::LIMIT_REASON;
        let settings: Vec<_> = now_is.settings.iter().filter(is_set).cloned().collect();
        let before = std::mem::replace(&mut self.settings, settings);
        if !self.began {
            return;
        }
        for ((name, before), (_, after)) in before.iter().zip(&self.settings) {
            if before != after {
                let from = f64::from(self.setting_changes);
                self.setting_changes = self.setting_changes.saturating_add(1);
                let to = f64::from(self.setting_changes);
                let reason = format!("{name}: {before} -> {after}");
                report(Change::new(&figures::SETTINGS, from, to, reason).by_hand());
            }
        }
    }
}

/// The share of the queue that is in use; `None` without a queue.
pub(crate) fn fill(of: &PolicySnapshot) -> Option<f64> {
    let places = value(of, &figures::QUEUE_CAPACITY).filter(|places| *places > 0.0)?;
    Some(value(of, &figures::QUEUED)? / places)
}

/// The value of a figure, if the policy has it and it is a number.
pub(crate) fn value(of: &PolicySnapshot, figure: &Figure) -> Option<f64> {
    let found = of.figures.iter().find(|(known, _)| known.is(figure));
    found
        .map(|(_, value)| *value)
        .filter(|value| !value.is_nan())
}

/// How many criticalities are shed at a threshold, at least in part.
fn band(threshold: f64) -> Option<u16> {
    let cohorts = f64::from(Priority::LEVELS) / Criticality::ALL.len() as f64;
    let band = (threshold / cohorts).ceil();
    (0.0..=4.0).contains(&band).then_some(band as u16)
}

fn shed(band: u16) -> String {
    let highest = usize::from(band)
        .checked_sub(1)
        .and_then(|at| Criticality::ALL.get(at));
    highest.map_or_else(
        || "sheds nothing".to_owned(),
        |highest| format!("sheds up to {}", highest.as_str()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(figures: &[(&'static Figure, f64)]) -> PolicySnapshot {
        PolicySnapshot {
            policy: "test".into(),
            figures: figures.to_vec(),
            settings: Vec::new(),
        }
    }

    /// The reasons of the changes of steps that are a second apart, with their second.
    fn steps(of: impl IntoIterator<Item = PolicySnapshot>) -> Vec<(u64, String)> {
        let (mut derived, start) = (Derived::default(), Instant::now());
        let mut changes = Vec::new();
        for (second, snapshot) in (0..).zip(of) {
            let now = start + Duration::from_secs(second);
            derived.step(&snapshot, now, |change| {
                changes.push((second, change.reason));
            });
        }
        changes
    }

    #[test]
    fn a_threshold_that_crosses_a_criticality_is_an_event() {
        let thresholds = [0.0, 60.0, 128.0, 129.0, 511.0];
        let changes = steps(thresholds.map(|at| read(&[(&figures::THRESHOLD, at)])));
        let expected = [
            (1, "sheds up to SHEDDABLE"),
            (3, "sheds up to SHEDDABLE_PLUS"),
            (4, "sheds up to CRITICAL_PLUS"),
        ];
        assert_eq!(
            changes,
            expected.map(|(at, reason)| (at, reason.to_owned()))
        );
    }

    #[test]
    fn a_threshold_that_crosses_an_edge_again_and_again_is_one_event() {
        let crossing = [0.0, 1.0].into_iter().cycle().take(60);
        let calm = [0.0; 7];
        let all = crossing
            .chain(calm)
            .map(|at| read(&[(&figures::THRESHOLD, at)]));
        let changes = steps(all);
        assert_eq!(changes.len(), 2, "{changes:?}");
        assert_eq!(changes[1], (65, "sheds nothing".to_owned()));
    }

    #[test]
    fn a_queue_that_stays_nearly_full_is_an_event() {
        let queue =
            |queued: f64| read(&[(&figures::QUEUED, queued), (&figures::QUEUE_CAPACITY, 10.0)]);
        let changes = steps([9.0; 12].into_iter().chain([8.0, 6.0, 5.0]).map(queue));
        let expected = [(10, "90 % of the queue"), (14, "50 % of the queue")];
        assert_eq!(
            changes,
            expected.map(|(at, reason)| (at, reason.to_owned()))
        );
    }

    #[test]
    fn a_setting_that_changes_is_an_event_and_the_reason_of_a_limit_is_not() {
        let with = |queue: &str, reason: &str| {
            let mut read = read(&[]);
            read.settings = vec![
                (figures::LIMIT_REASON, reason.to_owned()),
                ("queue", queue.to_owned()),
            ];
            read
        };
        let changes = steps([
            with("10", "set"),
            with("10", "growth"),
            with("20", "growth"),
        ]);
        assert_eq!(changes, [(2, "queue: 10 -> 20".to_owned())]);
    }
}
