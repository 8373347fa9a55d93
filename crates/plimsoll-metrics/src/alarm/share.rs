//! The share of two counts over a window: pure.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

/// Most samples of a window. The window is then exact to a sixtieth, and a share has less than 3 KiB.
/// `samples_are_bounded_however_often_a_share_is_taken` fails when it differs.
const SAMPLES: u32 = 60;

/// Samples of two counts, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Share(VecDeque<(Instant, u64, u64)>);

impl Share {
    /// The share of `part` in `whole` since the beginning of the window. 0 with fewer than `at_least`
    /// of the whole, and in the first step.
    pub(super) fn of(
        &mut self,
        (part, whole): (u64, u64),
        (window, at_least): (Duration, u64),
        now: Instant,
    ) -> f64 {
        let samples = &mut self.0;
        // Keeps one sample at or before the beginning of the window.
        while samples
            .get(1)
            .is_some_and(|(at, ..)| now.saturating_duration_since(*at) >= window)
        {
            samples.pop_front();
        }
        let share = samples.front().map_or(0.0, |(_, before, all)| {
            let all = whole.saturating_sub(*all);
            let part = part.saturating_sub(*before).min(all);
            if all == 0 || all < at_least {
                0.0
            } else {
                part as f64 / all as f64
            }
        });
        let last = samples
            .back()
            .map(|(at, ..)| now.saturating_duration_since(*at));
        if last.is_none_or(|since| since >= window / SAMPLES) {
            samples.push_back((now, part, whole));
        }
        share
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "shares of small integers")]
mod tests {
    use super::*;

    const WINDOW: (Duration, u64) = (Duration::from_secs(10), 20);

    #[test]
    fn the_share_is_that_of_the_window() {
        let (mut share, start) = (Share::default(), Instant::now());
        let at = |second| start + Duration::from_secs(second);
        assert_eq!(
            share.of((500, 1000), WINDOW, at(0)),
            0.0,
            "before the first step"
        );
        assert_eq!(share.of((510, 1100), WINDOW, at(5)), 0.1);
        assert_eq!(share.of((510, 1200), WINDOW, at(10)), 0.05);
        // From the sample of second 5.
        assert_eq!(share.of((510, 1300), WINDOW, at(15)), 0.0);
    }

    #[test]
    fn a_window_with_few_requests_has_no_share() {
        let (mut share, start) = (Share::default(), Instant::now());
        _ = share.of((0, 0), WINDOW, start);
        assert_eq!(
            share.of((19, 19), WINDOW, start + Duration::from_secs(1)),
            0.0
        );
        assert_eq!(
            share.of((20, 20), WINDOW, start + Duration::from_secs(2)),
            1.0
        );
    }

    #[test]
    fn samples_are_bounded_however_often_a_share_is_taken() {
        let (mut share, start) = (Share::default(), Instant::now());
        for milli in 0..60_000 {
            _ = share.of((0, milli), WINDOW, start + Duration::from_millis(milli));
        }
        assert!(share.0.len() <= 62, "{}", share.0.len());
    }
}
