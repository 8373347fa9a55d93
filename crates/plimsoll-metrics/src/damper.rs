//! Which changes of a policy enter the log: pure, changes and times in, decisions out.

use plimsoll_core::figures::{Change, Figure, FigureKind};
use tokio::time::Instant;

/// The share by which a gauge must differ from the value that was reported last. Limits move by a
/// few percent in most windows, which is noise in a log.
/// `a_limit_that_moves_by_a_fifth_is_reported_and_one_that_moves_by_less_is_not` fails when it
/// differs.
const LEAST: f64 = 0.2;
/// Events in a row, and per second afterwards. An incident has a burst of transitions; a limit that
/// oscillates, or keys that open one after the other, would fill a log of 1,024 within a minute.
/// `a_policy_has_at_most_a_few_events_per_second` fails when they differ.
const BURST: f64 = 10.0;
const PER_SECOND: f64 = 3.0;

/// What the log has of one policy.
#[derive(Debug)]
pub(crate) struct Damper {
    /// The value of each figure that was reported last, without keys.
    reported: Vec<(&'static Figure, f64)>,
    tokens: f64,
    refilled: Option<Instant>,
    /// Changes that were left out since the last one that was not.
    left_out: u64,
    /// Whether a state was left out, so that the log ends with another one than the policy.
    stale: bool,
    /// Changes that the policy reported, whether they were left out or not.
    seen: u64,
}

impl Damper {
    pub(crate) const fn new() -> Self {
        Self {
            reported: Vec::new(),
            tokens: BURST,
            refilled: None,
            left_out: 0,
            stale: false,
            seen: 0,
        }
    }

    /// Changes that the policy has reported.
    pub(crate) const fn seen(&self) -> u64 {
        self.seen
    }

    /// Decides on a change that a policy reports. `None` leaves it out.
    pub(crate) fn reported(&mut self, change: &Change, now: Instant) -> Option<Change> {
        self.seen += 1;
        if change.key.is_some() {
            return self.spend(change.clone(), now);
        }
        let before = self.last(change.figure).unwrap_or(change.from);
        if !change.by_hand && !differs(change.figure, before, change.to) {
            // Small changes add up from where the first one began.
            self.remember(change.figure, before);
            return None;
        }
        let mut change = change.clone();
        change.from = before;
        let (figure, to) = (change.figure, change.to);
        let kept = self.spend(change, now);
        if kept.is_some() {
            self.remember(figure, to);
        } else {
            self.stale = true;
        }
        kept
    }

    /// Compares a value that was read with the one that was reported last. The first value is where
    /// the log begins, and no change.
    ///
    /// `reports` is whether the policy reports its changes: its states are then compared only after
    /// one was left out.
    pub(crate) fn read(
        &mut self,
        figure: &'static Figure,
        value: f64,
        reports: bool,
        now: Instant,
    ) -> Option<Change> {
        if value.is_nan() {
            return None;
        }
        let Some(before) = self.last(figure) else {
            // What a policy reports begins with its first report: one that is on its way is not lost.
            if !reports {
                self.remember(figure, value);
            }
            return None;
        };
        if !differs(figure, before, value) || (reports && !self.stale) {
            return None;
        }
        let change = Change::new(figure, before, value, "");
        let kept = self.spend(change, now);
        if kept.is_some() {
            self.remember(figure, value);
            self.stale = false;
        }
        kept
    }

    /// Takes a token for a change that was decided elsewhere.
    pub(crate) fn spend(&mut self, mut change: Change, now: Instant) -> Option<Change> {
        let since = self.refilled.map(|at| now.saturating_duration_since(at));
        let refill = since.map_or(0.0, |since| since.as_secs_f64() * PER_SECOND);
        self.tokens = (self.tokens + refill).min(BURST);
        self.refilled = Some(self.refilled.map_or(now, |at| at.max(now)));
        if self.tokens < 1.0 {
            self.left_out += 1;
            return None;
        }
        self.tokens -= 1.0;
        let left_out = std::mem::take(&mut self.left_out);
        if left_out > 0 {
            let space = if change.reason.is_empty() { "" } else { " " };
            let after = format!("{space}(after {left_out} changes that were left out)");
            change.reason.push_str(&after);
        }
        Some(change)
    }

    fn last(&self, figure: &Figure) -> Option<f64> {
        let found = self.reported.iter().find(|(known, _)| known.is(figure));
        found.map(|(_, value)| *value)
    }

    fn remember(&mut self, figure: &'static Figure, value: f64) {
        match self.reported.iter_mut().find(|(known, _)| known.is(figure)) {
            Some((_, last)) => *last = value,
            None => self.reported.push((figure, value)),
        }
    }
}

/// Whether a change is large enough to be reported: each one of a state, and of a gauge one by more
/// than [`LEAST`]. From 0, every one is.
fn differs(figure: &Figure, before: f64, now: f64) -> bool {
    match figure.kind {
        FigureKind::State(_) => before.total_cmp(&now).is_ne(),
        _ => (now - before).abs() > LEAST * before.abs(),
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "values are passed on unchanged")]
mod tests {
    use std::time::Duration;

    use plimsoll_core::figures::LIMIT;

    use super::*;

    static STATE: Figure = Figure::state("state", &["closed", "open"], "State");

    fn limit(from: f64, to: f64) -> Change {
        Change::new(&LIMIT, from, to, "growth")
    }

    #[test]
    fn a_limit_that_moves_by_a_fifth_is_reported_and_one_that_moves_by_less_is_not() {
        let (mut damper, now) = (Damper::new(), Instant::now());
        let mut limit_is = 100.0;
        let mut reported = Vec::new();
        for to in [105.0, 110.0, 120.0, 121.0, 140.0, 97.0, 96.0] {
            reported.extend(damper.reported(&limit(limit_is, to), now));
            limit_is = to;
        }
        let reported: Vec<_> = reported.iter().map(|of| (of.from, of.to)).collect();
        assert_eq!(reported, [(100.0, 121.0), (121.0, 96.0)]);
    }

    #[test]
    fn a_change_by_hand_is_reported_however_small() {
        let mut damper = Damper::new();
        let change = limit(100.0, 101.0).by_hand();
        assert!(damper.reported(&change, Instant::now()).is_some());
    }

    #[test]
    fn a_policy_has_at_most_a_few_events_per_second() {
        let (mut damper, start) = (Damper::new(), Instant::now());
        let mut kept = Vec::new();
        for tenth in 0..100_u32 {
            let now = start + Duration::from_millis(u64::from(tenth) * 100);
            let to = f64::from(tenth % 2);
            kept.extend(damper.reported(&Change::new(&STATE, 1.0 - to, to, "test"), now));
        }
        // The burst, and three in each of the 9.9 seconds. Each second transition can differ from
        // the last one that was reported.
        assert!((20..=40).contains(&kept.len()), "{}", kept.len());
        assert!(kept.windows(2).all(|pair| pair[0].to == pair[1].from));
        assert!(kept.last().unwrap().reason.contains("left out"));
    }

    #[test]
    fn a_state_that_was_left_out_is_reported_later() {
        let (mut damper, now) = (Damper::new(), Instant::now());
        let mut states = [1.0, 0.0].into_iter().cycle();
        for _ in 0..11 {
            let to = states.next().unwrap();
            _ = damper.reported(&Change::new(&STATE, 1.0 - to, to, "test"), now);
        }
        // The last one, to open, found no token. While none is left it stays so.
        assert!(damper.read(&STATE, 1.0, true, now).is_none());
        let later = damper
            .read(&STATE, 1.0, true, now + Duration::from_secs(1))
            .unwrap();
        assert_eq!((later.from, later.to), (0.0, 1.0));
        assert!(later.reason.contains("left out"), "{}", later.reason);
        let quiet = damper.read(&STATE, 0.0, true, now + Duration::from_secs(2));
        assert!(quiet.is_none(), "the policy reports this one");
    }

    #[test]
    fn a_value_that_is_read_is_compared_with_the_one_reported_last() {
        let (mut damper, now) = (Damper::new(), Instant::now());
        for (value, reported) in [
            (64.0, false),
            (70.0, false),
            (f64::NAN, false),
            (77.0, true),
        ] {
            let change = damper.read(&LIMIT, value, false, now);
            assert_eq!(change.is_some(), reported, "{value}");
        }
    }
}
