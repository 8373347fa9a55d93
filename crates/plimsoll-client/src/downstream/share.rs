//! The threshold that most of the recent calls were answered with. Pure.

use plimsoll_core::Priority;

const LEVELS: usize = Priority::LEVELS as usize;
/// Length of half a window, in milliseconds. Calls of the last one to two halves count, and an
/// answer that takes longer is not counted. With a shorter half, clients of few calls per second
/// never find a threshold; with a longer one, a new overload is detected late (now after 375 ms on
/// average). `all_instances_that_announce_make_the_client_shed` fails with 2,000.
pub(super) const HALF: u64 = 500;
/// Virtual calls that confirm the threshold in force. With no threshold in force, at least four
/// answers are needed to start shedding, so one answer of an overloaded instance is not enough.
/// `one_overloaded_instance_of_ten_costs_its_share` fails with 0.
const PRIOR: u64 = 4;

/// Calls sent in half a window, and their answers.
#[derive(Debug)]
struct Half {
    /// Index of the half since the epoch.
    number: u64,
    sent: u64,
    /// Answers by announced threshold, without those that announce 0.
    said: [u32; LEVELS],
}

impl Half {
    fn new(number: u64) -> Self {
        Self {
            number,
            sent: 0,
            said: [0; LEVELS],
        }
    }
}

/// Calls by the time they were *sent*, so that calls in flight count in the ratio, too. An
/// overloaded instance answers at once; a ratio of answers would be dominated by it.
#[derive(Debug)]
pub(super) struct Share {
    now: Half,
    before: Half,
}

impl Share {
    pub(super) fn new() -> Self {
        Self {
            now: Half::new(0),
            before: Half::new(0),
        }
    }

    /// Index of the half in which calls are counted.
    pub(super) fn number(&self) -> u64 {
        self.now.number
    }

    /// Adds `sent` calls to the current half, and starts half `number` if it is later.
    pub(super) fn turn(&mut self, number: u64, sent: u64) {
        self.now.sent += sent;
        if number > self.now.number {
            let old = std::mem::replace(&mut self.now, Half::new(number));
            self.before = if old.number + 1 == number {
                old
            } else {
                Half::new(number - 1)
            };
        }
    }

    /// Records that a call sent in half `number` was answered with this threshold.
    pub(super) fn answered(&mut self, number: u64, threshold: u16) {
        let mut halves = [&mut self.now, &mut self.before].into_iter();
        if let Some(half) = halves.find(|half| threshold > 0 && half.number == number) {
            half.said[usize::from(threshold)] += 1;
        }
    }

    /// Removes all calls.
    pub(super) fn clear(&mut self) {
        let number = self.now.number;
        self.now = Half::new(number);
        self.before = Half::new(number.saturating_sub(1));
    }

    /// The highest threshold T such that at least half of the calls were answered with T or more;
    /// `in_force` is the current threshold.
    pub(super) fn threshold(&self, in_force: u16) -> u16 {
        let calls = self.now.sent + self.before.sent + PRIOR;
        let mut said = 0;
        for level in (1..LEVELS).rev() {
            said += u64::from(self.now.said[level]) + u64::from(self.before.said[level]);
            if level == usize::from(in_force) {
                said += PRIOR;
            }
            if 2 * said >= calls {
                return level as u16;
            }
        }
        0
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Calls of one half with these answers.
    fn share(sent: u64, said: &[(u16, u32)]) -> Share {
        let mut share = Share::new();
        share.turn(1, 0);
        share.turn(1, sent);
        for (threshold, times) in said {
            (0..*times).for_each(|_| share.answered(1, *threshold));
        }
        share
    }

    #[test]
    fn half_of_the_calls_decide_and_calls_in_flight_count() {
        for (sent, said, expected) in [
            (0, &[][..], 0),
            (4, &[(300, 3)], 0),
            (4, &[(300, 4)], 300),
            (96, &[(511, 49)], 0),
            (96, &[(511, 50)], 511),
            (96, &[(511, 10), (384, 30), (128, 56)], 128),
            (96, &[(511, 10), (384, 40), (0, 46)], 384),
        ] {
            assert_eq!(share(sent, said).threshold(0), expected, "{sent} {said:?}");
        }
    }

    #[test]
    fn the_threshold_in_force_stays_until_answers_contradict_it() {
        assert_eq!(share(0, &[]).threshold(300), 300);
        assert_eq!(share(4, &[(300, 1)]).threshold(300), 300);
        assert_eq!(share(5, &[(0, 5)]).threshold(300), 0);
    }

    #[test]
    fn an_answer_counts_in_the_half_of_its_call() {
        let mut share = share(10, &[(300, 4)]);
        share.turn(2, 2);
        share.answered(2, 300);
        share.answered(1, 300);
        assert_eq!(share.threshold(0), 0, "6 of 12");
        (0..2).for_each(|_| share.answered(1, 300));
        assert_eq!(share.threshold(0), 300, "8 of 12");
        share.turn(3, 0);
        share.answered(1, 300);
        assert_eq!(share.threshold(0), 0, "one of two");
        share.turn(9, 7);
        assert_eq!((share.threshold(0), share.number()), (0, 9));
    }
}
