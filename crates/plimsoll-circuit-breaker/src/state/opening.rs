//! The lengths of openings: they grow in a row, and shrink with the time that the breaker is closed.

use crate::{nanos::nanos, settings::Settings};

/// The memory of earlier openings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Opening {
    /// The length of the latest opening, without jitter; 0 before the first one.
    length: u64,
    /// When the breaker was closed after it; `None` until then.
    closed_at: Option<u64>,
}

impl Opening {
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Starts an opening at `now`. Returns its length.
    pub(super) fn start(&mut self, now: u64, rules: &Settings) -> u64 {
        self.length = rules.next_opening(self.grown_from(now));
        self.closed_at = None;
        self.length
    }

    /// Records that the breaker has closed.
    pub(super) fn closed(&mut self, now: u64) {
        self.closed_at = Some(now);
    }

    /// The length that the next opening grows from: that of the latest opening, halved for each
    /// time that the breaker was closed for as long as the remaining length.
    ///
    /// After 8 s: 4 s when closed for 8 s, 2 s when closed for 12 s, and so on, until nothing is
    /// left after twice the latest opening. The loop ends after at most 64 rounds.
    fn grown_from(&self, now: u64) -> u64 {
        let mut length = self.length;
        let mut closed = self.closed_at.map_or(0, |at| now.saturating_sub(at));
        while length > 0 && closed >= length {
            closed -= length;
            length /= 2;
        }
        length
    }

    /// When nothing is left of it, if the breaker stays closed.
    pub(super) fn gone_at(&self) -> u64 {
        let closed_at = self.closed_at.unwrap_or(0);
        closed_at.saturating_add(self.length.saturating_mul(2))
    }
}

impl Settings {
    /// The length of the opening after one of length `last` (0: after none), in
    /// nanoseconds.
    fn next_opening(&self, last: u64) -> u64 {
        let first = nanos(self.open_for);
        match self.backoff {
            Some((factor, max)) => {
                ((last as f64 * factor) as u64).clamp(first, nanos(max).max(first))
            }
            None => first,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn rules(factor: f64, max: u64) -> Settings {
        Settings {
            open_for: Duration::from_secs(1),
            backoff: Some((factor, Duration::from_secs(max))),
            ..Settings::DEFAULT
        }
    }

    fn seconds(opening: &mut Opening, now: u64, rules: &Settings) -> f64 {
        opening.start(now, rules) as f64 / SECOND as f64
    }

    #[test]
    fn openings_in_a_row_grow_to_the_cap() {
        let mut opening = Opening::default();
        let rules = rules(2.0, 5);
        let lengths = [(); 5].map(|()| opening.start(0, &rules) / SECOND);
        assert_eq!(lengths, [1, 2, 4, 5, 5]);
        opening.length = u64::MAX;
        assert!((seconds(&mut opening, 0, &rules) - 5.0).abs() < f64::EPSILON);
    }

    /// Openings of 1, 2, 4 and 8 s, then closed for a time. Expected: the next opening.
    #[test]
    fn the_growth_halves_with_each_length_of_itself_spent_closed() {
        let rules = rules(2.0, 100);
        for (closed, expected) in [
            (0.0, 16.0),
            (7.9, 16.0),
            (8.0, 8.0),
            (11.9, 8.0),
            (12.0, 4.0),
            (14.0, 2.0),
            (15.0, 1.0),
            (16.0, 1.0),
            (1e6, 1.0),
        ] {
            let mut opening = Opening::default();
            for _ in 0..4 {
                opening.start(0, &rules);
            }
            opening.closed(SECOND);
            let next = SECOND + (closed * SECOND as f64) as u64;
            let length = seconds(&mut opening, next, &rules);
            assert!((length - expected).abs() < 0.01, "{closed} s: {length}");
            assert_eq!(opening.closed_at, None);
        }
    }

    /// Closed for 2 s between openings: the old rule, a reset by a few good probes, would open for
    /// 1 s each time.
    #[test]
    fn a_callee_that_flaps_reaches_the_longest_opening() {
        let rules = rules(2.0, 30);
        let (mut opening, mut now) = (Opening::default(), 0);
        let mut lengths = Vec::new();
        for _ in 0..12 {
            let length = opening.start(now, &rules);
            lengths.push(length / SECOND);
            now += length;
            opening.closed(now);
            now += SECOND * 4 / 5;
        }
        assert_eq!(lengths, [1, 2, 4, 8, 16, 30, 30, 30, 30, 30, 30, 30]);
    }

    #[test]
    fn nothing_is_left_after_twice_the_latest_opening() {
        let rules = rules(3.0, 1_000);
        let mut opening = Opening::default();
        for _ in 0..6 {
            opening.start(0, &rules);
        }
        opening.closed(7);
        assert_eq!(opening.gone_at(), 7 + 2 * 243 * SECOND);
        assert_eq!(opening.grown_from(opening.gone_at()), 0);
        assert_eq!(opening.grown_from(7), 243 * SECOND);
    }
}
