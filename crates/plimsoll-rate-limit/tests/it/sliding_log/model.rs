//! The log against a plain list of all units that were taken.

use std::time::Duration;

use plimsoll_rate_limit::SlidingLogPermit;
use proptest::{collection::vec, prelude::*, sample::Index};
use tokio::time::Instant;

use super::{ask, log, revoke};

#[derive(Debug, Clone)]
enum Step {
    Forward(u64),
    Back(u64),
    Ask(u32),
    Revoke(Index),
}

fn steps(back: u32) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0_u64..60).prop_map(Step::Forward),
        back => (0_u64..150).prop_map(Step::Back),
        8 => prop_oneof![4 => Just(1), 2 => 0_u32..14].prop_map(Step::Ask),
        3 => any::<Index>().prop_map(Step::Revoke),
    ];
    vec(step, 1..150)
}

const PERIOD: u64 = 100;

/// Time, permit and units of each admission.
#[derive(Default)]
struct List(Vec<(u64, SlidingLogPermit, u32)>);

impl List {
    fn within(&self, after: i64, to: u64) -> u32 {
        self.0
            .iter()
            .filter(|(at, ..)| *at as i64 > after && *at <= to)
            .map(|(.., units)| units)
            .sum()
    }

    /// Nanoseconds until the units fit, by trying each.
    fn wait(&self, limit: u32, now: u64, units: u32) -> Option<u64> {
        (units <= limit).then(|| {
            (0..=PERIOD)
                .find(|wait| {
                    let at = now + wait;
                    self.within(at as i64 - PERIOD as i64, at) + units <= limit
                })
                .expect("after a period the window is empty")
        })
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// The same decisions and waits, with any revocations.
    #[test]
    fn decides_like_the_plain_list(limit in 1_u32..12, steps in steps(0)) {
        let log = log(limit, Duration::from_nanos(PERIOD));
        let (start, mut at, mut list) = (Instant::now(), 0, List::default());
        assert!(log.available(start) > 0); // the epoch
        for step in steps {
            let now = start + Duration::from_nanos(at);
            match step {
                Step::Forward(nanos) => at += nanos,
                Step::Back(_) => unreachable!("weight 0"),
                Step::Ask(units) => {
                    let expected = if units == 0 { Some(0) } else { list.wait(limit, at, units) };
                    match ask(&log, now, units) {
                        Ok(permit) => {
                            prop_assert_eq!(expected, Some(0));
                            list.0.push((at, permit, units));
                        }
                        Err(wait) => prop_assert_eq!(wait, expected.map(Duration::from_nanos)),
                    }
                }
                Step::Revoke(which) if !list.0.is_empty() => {
                    let (_, permit, _) = list.0.remove(which.index(list.0.len()));
                    revoke(&log, permit);
                }
                Step::Revoke(_) => {}
            }
            let now = start + Duration::from_nanos(at);
            let start = at.cast_signed() - PERIOD.cast_signed();
            prop_assert_eq!(log.available(now), u64::from(limit - list.within(start, at)));
        }
    }

    /// With any clock, no window of the times passed in holds more than the limit.
    #[test]
    fn no_window_holds_more_than_the_limit_when_clocks_disagree(
        limit in 1_u32..12,
        steps in steps(3),
    ) {
        let log = log(limit, Duration::from_nanos(PERIOD));
        let (start, mut at, mut list) = (Instant::now(), 0_u64, List::default());
        assert!(log.available(start) > 0); // the epoch
        for step in steps {
            match step {
                Step::Forward(nanos) => at += nanos,
                Step::Back(nanos) => at = at.saturating_sub(nanos),
                Step::Ask(units) => {
                    if let Ok(permit) = ask(&log, start + Duration::from_nanos(at), units) {
                        list.0.push((at, permit, units));
                    }
                }
                Step::Revoke(which) if !list.0.is_empty() => {
                    let (_, permit, _) = list.0.remove(which.index(list.0.len()));
                    revoke(&log, permit);
                }
                Step::Revoke(_) => {}
            }
        }
        for (from, ..) in &list.0 {
            let window = list.within(from.cast_signed() - 1, from + PERIOD - 1);
            prop_assert!(window <= limit, "{window} from {from} on");
        }
    }
}
